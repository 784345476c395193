import type { Command } from 'commander'
import { readTextFile } from '#admin/policy-folder.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantPages } from './context.ts'
import { fromAdmin } from './failure.ts'

/** `warder registry import|list`. */
export function addRegistryCommands(program: Command, context: CliContext): void {
  const registry = program
    .command('registry')
    .description('registry: users, agents, tools, resources and their groups')
  registry
    .command('import')
    .argument('<file>', 'JSON file, see docs/cli.md')
    .requiredOption('--tenant <tenant>', 'tenant that gets the entities')
    .description('insert or replace the entities of a file; all of them or none')
    .action(async (file: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const text = await readTextFile(file)
      if (!text.ok) throw fromAdmin(text.failure)
      const { importRegistry } = await import('#admin/import-registry.ts')
      await context.database(output, async ({ store }) => {
        const imported = await importRegistry(
          store,
          { tenant: flags.tenant, text: text.value },
          (done, total) => output.progress('import', done, total),
        )
        if (!imported.ok) throw fromAdmin(imported.failure, imported.failure.problems)
        output.object(imported.value, [`imported ${imported.value.entities} entities`])
      })
    })
  registry
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .option('--type <type>', 'only one entity type, such as Warder::Agent')
    .description('list entities in the order of type and id')
    .action(async (flags: { readonly tenant?: string; readonly type?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      await context.database(output, async ({ store }) => {
        await output.list(
          tenantPages(
            store,
            tenant,
            (each, page) => store.listEntities(each, flags.type, page),
            ({ uid }) => `${uid.type}\u0000${uid.id}`,
          ),
          [
            ...tenantColumn(tenant),
            { heading: 'type', cell: ({ uid }) => uid.type },
            { heading: 'id', cell: ({ uid }) => uid.id },
            { heading: 'parents', cell: ({ parents }) => parents.map(({ id }) => id).join(' ') || '-' },
            { heading: 'attributes', cell: ({ attrs }) => JSON.stringify(attrs) },
          ],
          'no entities',
        )
      })
    })
}
