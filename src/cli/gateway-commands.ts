import type { Command } from 'commander'
import { addGateway, revokeGateway, rotateGateway } from '#admin/gateways.ts'
import { systemClock } from '#lib/clock.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'
import { commaList, wholeNumber } from './values.ts'

interface AddFlags {
  readonly tenant: string
  readonly assert?: readonly string[]
  readonly userOnly?: boolean
  readonly obligations?: readonly string[]
  readonly certificateSha256?: string
}

/** `warder gateway add|list|rotate|revoke`. */
export function addGatewayCommands(program: Command, context: CliContext): void {
  const gateway = program.command('gateway').description('gateways: who may ask for decisions')
  addAdd(gateway, context)
  addList(gateway, context)
  addRotate(gateway, context)
  addRevoke(gateway, context)
}

function addAdd(gateway: Command, context: CliContext): void {
  gateway
    .command('add')
    .argument('<name>', 'name of the gateway, unique in its tenant')
    .requiredOption('--tenant <tenant>', 'tenant whose decisions it asks for')
    .option(
      '--assert <kinds>',
      'facts that it may assert, separated by commas: identity, properties, context, or none (default: all in the JSON dialects, none in the header dialects)',
      commaList,
    )
    .option('--user-only', 'it may ask for a user without an agent')
    .option(
      '--obligations <types>',
      'obligations that it carries out, or none (default: those of its dialect)',
      commaList,
    )
    .option(
      '--certificate-sha256 <hex>',
      'SHA-256 of the client certificate that it proves itself with, in place of a key (needs WARDER_TLS_CLIENT_CA)',
    )
    .description('register a gateway and print its key, this once')
    .action(async (name: string, flags: AddFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const { assert: asserts, userOnly = false, ...given } = flags
        const added = await addGateway(store, {
          ...given,
          name,
          asserts,
          userOnly,
          obligations: given.obligations,
        })
        if (!added.ok) throw fromAdmin(added.failure)
        const { key } = added.value
        output.object(added.value, [key ?? `added gateway ${name}, which proves itself with its certificate`])
        if (key !== null) output.note(`added gateway ${name}; its key is shown only this once`)
      })
    })
}

function addList(gateway: Command, context: CliContext): void {
  gateway
    .command('list')
    .option('--tenant <tenant>', 'only those of one tenant')
    .description('list gateways with the beginnings of their valid keys')
    .action(async (flags: { readonly tenant?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = flags.tenant === undefined ? undefined : tenantOf(flags.tenant)
      await context.database(output, async ({ store }) => {
        if (tenant !== undefined) await requireTenant(store, tenant)
        await output.list(
          allPages(
            (page) => store.listGateways(tenant, page),
            (row) => (tenant === undefined ? `${row.tenant}/${row.name}` : row.name),
          ),
          [
            { heading: 'tenant', cell: (row) => row.tenant },
            { heading: 'gateway', cell: (row) => row.name },
            { heading: 'asserts', cell: (row) => words(row.asserts) },
            { heading: 'user only', cell: (row) => (row.user_only ? 'yes' : 'no') },
            { heading: 'obligations', cell: (row) => words(row.obligations) },
            { heading: 'keys', cell: (row) => row.key_hints.join(' ') || '-' },
            { heading: 'created', cell: (row) => utcTime(row.created_at) },
            { heading: 'revoked', cell: (row) => utcTime(row.revoked_at) },
          ],
          'no gateways yet; add one with `warder gateway add NAME --tenant TENANT`',
        )
      })
    })
}

function addRotate(gateway: Command, context: CliContext): void {
  gateway
    .command('rotate')
    .argument('<name>', 'name of the gateway')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .option('--keep-seconds <seconds>', 'how long the older keys stay valid', wholeNumber, 3600)
    .description('make a new key and print it, this once')
    .action(
      async (
        name: string,
        flags: { readonly tenant: string; readonly keepSeconds: number },
        command: Command,
      ) => {
        const output = context.output(command)
        await context.database(output, async ({ store }) => {
          const rotated = await rotateGateway(store, { name, ...flags }, systemClock())
          if (!rotated.ok) throw fromAdmin(rotated.failure)
          output.object(rotated.value, [rotated.value.key])
          output.note(
            `older keys of ${name} stop working in ${flags.keepSeconds} s; the new one is shown only this once`,
          )
        })
      },
    )
}

function addRevoke(gateway: Command, context: CliContext): void {
  gateway
    .command('revoke')
    .argument('<name>', 'name of the gateway')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('end a gateway: all its keys stop working')
    .action(async (name: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const revoked = await revokeGateway(store, { name, tenant: flags.tenant })
        if (!revoked.ok) throw fromAdmin(revoked.failure)
        output.object({ ...revoked.value, revoked: true }, [`revoked gateway ${name}`])
      })
    })
}

function words(list: readonly string[] | null): string {
  if (list === null) return 'default'
  return list.length === 0 ? 'none' : list.join(',')
}
