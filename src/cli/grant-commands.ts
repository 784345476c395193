import type { Command } from 'commander'
import type { GrantListing } from '#admin/delegation-ports.ts'
import { addGrant, revokeGrant } from '#admin/grants.ts'
import { systemClock } from '#lib/clock.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantPages } from './context.ts'
import { fromAdmin } from './failure.ts'
import { utcTime } from './table.ts'
import { commaList, seconds } from './values.ts'

interface AddFlags {
  readonly tenant: string
  readonly from: string
  readonly to: string
  readonly scopes?: readonly string[]
  readonly tools?: readonly string[]
  readonly expires?: number
  readonly reason: string
}

interface ListFlags {
  readonly tenant?: string
  readonly to?: string
  readonly from?: string
  readonly all?: boolean
}

/** `warder grant add|list|revoke`. */
export function addGrantCommands(program: Command, context: CliContext): void {
  const grant = program.command('grant').description('delegation grants: who may act for whom')
  grant
    .command('add')
    .requiredOption('--tenant <tenant>', 'tenant that it is for')
    .requiredOption('--from <party>', '`user:ID`, `user:*` for every user, or `agent:ID`')
    .requiredOption('--to <agent>', 'agent that may act')
    .option('--scopes <list>', 'scopes that it may use at most, separated by commas', commaList)
    .option('--tools <list>', 'tools that it may call at most: ids or `server/*`', commaList)
    .option('--expires <duration>', 'when it ends, such as 12h, 30d (default: when it is revoked)', seconds)
    .requiredOption('--reason <text>', 'why, for whoever asks later')
    .description('let an agent act for a user or for another agent')
    .action(async (flags: AddFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const added = await addGrant(store, { ...flags, expiresInSeconds: flags.expires }, systemClock())
        if (!added.ok) throw fromAdmin(added.failure)
        const { grant: id, from, to } = added.value
        output.object(added.value, [`granted ${id}: ${to} may act for ${from}`])
      })
    })
  addList(grant, context)
  grant
    .command('revoke')
    .argument('<grant>', 'its id')
    .requiredOption('--tenant <tenant>', 'tenant that it is in')
    .requiredOption('--reason <text>', 'why, for whoever asks later')
    .description('end a grant, and with it every delegation that rests on it')
    .action(
      async (id: string, flags: { readonly tenant: string; readonly reason: string }, command: Command) => {
        const output = context.output(command)
        await context.database(output, async ({ store }) => {
          const revoked = await revokeGrant(store, { ...flags, grant: id })
          if (!revoked.ok) throw fromAdmin(revoked.failure)
          output.object(revoked.value, [
            `revoked ${id}: ${revoked.value.to} may not act for ${revoked.value.from}`,
          ])
        })
      },
    )
}

function addList(grant: Command, context: CliContext): void {
  grant
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .option('--to <agent>', 'only those to this agent')
    .option('--from <party>', 'only those from `user:ID`, `user:*` or `agent:ID`')
    .option('--all', 'revoked and expired ones too')
    .description('list delegation grants')
    .action(async ({ to, from, all, ...flags }: ListFlags, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      const filter = { to, from, includeOver: all === true }
      await context.database(output, async ({ store }) => {
        await output.list<GrantListing>(
          tenantPages(
            store,
            tenant,
            (each, page) => store.listGrants(each, filter, page),
            (row) => row.grant,
          ),
          [
            ...tenantColumn(tenant),
            { heading: 'grant', cell: (row) => row.grant },
            { heading: 'from', cell: (row) => row.from },
            { heading: 'to', cell: (row) => row.to },
            { heading: 'tools', cell: (row) => row.tools?.join(' ') ?? 'all' },
            { heading: 'scopes', cell: (row) => row.scopes?.join(' ') ?? 'all' },
            { heading: 'expires', cell: (row) => utcTime(row.expires_at) },
            { heading: 'revoked', cell: (row) => utcTime(row.revoked_at) },
            { heading: 'reason', cell: (row) => row.reason },
          ],
          'no grants; add one with `warder grant add`',
        )
      })
    })
}
