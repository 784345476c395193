import type { Command } from 'commander'
import type { FederationListing } from '#admin/delegation-ports.ts'
import type { AdminFailure } from '#admin/failure.ts'
import { acceptFederation, proposeFederation, toListing, withdrawFederation } from '#admin/federations.ts'
import { installationSecret } from '#admin/installation-secret.ts'
import { systemClock } from '#lib/clock.ts'
import type { Result } from '#lib/result.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantPages } from './context.ts'
import { fromAdmin } from './failure.ts'
import type { Output } from './output.ts'
import { settingsOf } from './services.ts'
import { utcTime } from './table.ts'
import { commaList, seconds } from './values.ts'

interface ProposeFlags {
  readonly tenant: string
  readonly with: string
  readonly direction: string
  readonly agents: readonly string[]
  readonly tools: readonly string[]
  readonly roles?: readonly string[]
  readonly expires: number
}

/** `warder federation propose|accept|withdraw|list`. */
export function addFederationCommands(program: Command, context: CliContext): void {
  const federation = program
    .command('federation')
    .description('federations: agents of one tenant that may act in another')
  federation
    .command('propose')
    .requiredOption('--tenant <tenant>', 'tenant that proposes and signs')
    .requiredOption('--with <tenant>', 'the other tenant, which has to accept')
    .requiredOption('--direction <direction>', '`in`: its agents may act here; `out`: ours may act there')
    .requiredOption('--agents <list>', 'ids of the agents, separated by commas', commaList)
    .requiredOption('--tools <list>', 'tools that they may call: ids, `server/*`, or `*`', commaList)
    .option('--roles <list>', '`subject`: on their own; `actor`: for somebody (default: both)', commaList)
    .requiredOption('--expires <duration>', 'when it ends, such as 90d', seconds)
    .description('propose a federation to another tenant')
    .action(async ({ expires, ...flags }: ProposeFlags, command: Command) => {
      const output = context.output(command)
      const secret = await installationSecret(settingsOf(context.options).dataDirectory)
      await context.database(output, async ({ store }) => {
        const request = { ...flags, expiresInSeconds: expires }
        print(output, await proposeFederation(store, secret, request, systemClock()))
      })
    })
  federation
    .command('accept')
    .argument('<federation>', 'its id')
    .requiredOption('--tenant <tenant>', 'tenant that accepts and signs')
    .description('accept what another tenant has proposed')
    .action(async (id: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const secret = await installationSecret(settingsOf(context.options).dataDirectory)
      await context.database(output, async ({ store }) => {
        print(output, await acceptFederation(store, secret, { ...flags, federation: id }, systemClock()))
      })
    })
  federation
    .command('withdraw')
    .argument('<federation>', 'its id')
    .requiredOption('--tenant <tenant>', 'tenant that withdraws; either side may')
    .requiredOption('--reason <text>', 'why, for whoever asks later')
    .description('end a federation at once')
    .action(
      async (id: string, flags: { readonly tenant: string; readonly reason: string }, command: Command) => {
        const output = context.output(command)
        await context.database(output, async ({ store }) => {
          print(output, await withdrawFederation(store, { ...flags, federation: id }, systemClock()))
        })
      },
    )
  addList(federation, context)
}

function print(output: Output, result: Result<FederationListing, AdminFailure>): void {
  if (!result.ok) throw fromAdmin(result.failure)
  const { federation, foreign, home, state } = result.value
  output.object(result.value, [`federation ${federation}: agents of ${foreign} in ${home}, ${state}`])
}

function addList(federation: Command, context: CliContext): void {
  federation
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .description('list the federations that a tenant takes part in')
    .action(async (flags: { readonly tenant?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      const now = systemClock()
      await context.database(output, async ({ store }) => {
        await output.list(
          tenantPages<FederationListing>(
            store,
            tenant,
            async (each, page) =>
              (await store.listFederations(each, page)).map((stored) => toListing(stored, now)),
            (row) => row.federation,
          ),
          [
            ...tenantColumn(tenant),
            { heading: 'federation', cell: (row) => row.federation },
            { heading: 'in', cell: (row) => row.home },
            { heading: 'of', cell: (row) => row.foreign },
            { heading: 'agents', cell: (row) => row.agents.join(' ') },
            { heading: 'tools', cell: (row) => row.tools.join(' ') },
            { heading: 'ends', cell: (row) => utcTime(row.ends_at) },
            { heading: 'state', cell: (row) => row.state },
          ],
          'no federations',
        )
      })
    })
}
