import type { Command } from 'commander'
import { addTenant } from '#admin/tenants.ts'
import type { CliContext } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'

/** `warder tenant add|list`. */
export function addTenantCommands(program: Command, context: CliContext): void {
  const tenant = program.command('tenant').description('tenants: the isolation units')
  tenant
    .command('add')
    .argument('<name>', 'a-z, 0-9, `-`, `_`, `.`; it can not be changed later')
    .description('add a tenant')
    .action(async (name: string, _: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const added = await addTenant(store, name)
        if (!added.ok) throw fromAdmin(added.failure)
        output.object(added.value, [`added tenant ${name}`])
      })
    })
  tenant
    .command('list')
    .description('list all tenants')
    .action(async (_: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, ({ store }) =>
        output.list(
          allPages(
            (page) => store.listTenants(page),
            (row) => row.tenant,
          ),
          [
            { heading: 'tenant', cell: (row) => row.tenant },
            { heading: 'created', cell: (row) => utcTime(row.created_at) },
            { heading: 'version', cell: (row) => `${row.state_version}` },
          ],
          'no tenants yet; add one with `warder tenant add NAME`',
        ),
      )
    })
}
