import type { Command } from 'commander'
import type { AuditListing } from '#admin/audit.ts'
import type { AdminStore } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import { type CliContext, optionalTenant, requireTenant } from './context.ts'
import { utcTime } from './table.ts'
import { positiveNumber } from './values.ts'

const LIMIT_DEFAULT = 100
const PAGE = 500

/** `warder audit query`. */
export function addAuditCommands(program: Command, context: CliContext): void {
  program
    .command('audit')
    .description('audit: what administrators did')
    .command('query')
    .option('--tenant <tenant>', 'only what concerns one tenant')
    .option('--limit <number>', 'most rows; any number', positiveNumber, LIMIT_DEFAULT)
    .description('print what was done by commands and over the admin API, newest first')
    .action(async (flags: { readonly tenant?: string; readonly limit: number }, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      await context.database(output, async ({ store }) => {
        if (tenant !== undefined) await requireTenant(store, tenant)
        await output.list(
          rows(store, tenant, flags.limit),
          [
            { heading: 'time', cell: (row) => utcTime(row.at) },
            { heading: 'who', cell: (row) => row.actor },
            { heading: 'route', cell: (row) => row.route },
            { heading: 'tenant', cell: (row) => row.tenant ?? '-' },
            { heading: 'target', cell: (row) => row.target ?? '-' },
            { heading: 'outcome', cell: (row) => row.outcome },
          ],
          'nothing was done yet',
        )
      })
    })
}

async function* rows(
  store: AdminStore,
  tenant: TenantId | undefined,
  limit: number,
): AsyncGenerator<readonly AuditListing[]> {
  const filter = { tenants: tenant === undefined ? undefined : [tenant] }
  let after: string | undefined
  for (let left = limit; left > 0; ) {
    const page = { limit: Math.min(left, PAGE) }
    const found = await store.listAudit(filter, after === undefined ? page : { ...page, after })
    yield found
    const last = found.at(-1)
    if (last === undefined || found.length < page.limit) return
    after = `${last.sequence}`
    left -= found.length
  }
}
