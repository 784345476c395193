import type { Command } from 'commander'
import { invalid } from '#admin/failure.ts'
import { readTextFile } from '#admin/policy-folder.ts'
import { addTenant, setTenant, type TenantChanges } from '#admin/tenants.ts'
import type { CliContext } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'
import { commaList, positiveNumber } from './values.ts'

interface SetFlags {
  readonly retentionDays?: { readonly days: number | null }
  readonly maskFields?: readonly string[]
  readonly rules?: string
}

/** `warder tenant add|set|show|list`. */
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
  addSettingCommands(tenant, context)
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

function addSettingCommands(tenant: Command, context: CliContext): void {
  tenant
    .command('set')
    .argument('<name>', 'the tenant')
    .option('--retention-days <number>', 'remove log rows that are older; `none` keeps all', retention)
    .option(
      '--mask-fields <names>',
      'arguments and properties whose values the log masks; `none` for no more',
      commaList,
    )
    .option('--rules <file>', 'JSON file with what every call must meet; it replaces the rules before')
    .description('change settings of a tenant; without options print them')
    .action(async (name: string, flags: SetFlags, command: Command) => {
      const changes = {
        ...(flags.retentionDays === undefined ? {} : { retention_days: flags.retentionDays.days }),
        ...(flags.maskFields === undefined ? {} : { mask_fields: flags.maskFields }),
        ...(flags.rules === undefined ? {} : { rules: await readJsonFile(flags.rules) }),
      }
      await changeSettings(context, command, name, changes)
    })
  tenant
    .command('show')
    .argument('<name>', 'the tenant')
    .description('print the settings and rules of a tenant')
    .action((name: string, _: unknown, command: Command) => changeSettings(context, command, name, {}))
}

async function changeSettings(
  context: CliContext,
  command: Command,
  name: string,
  changes: TenantChanges,
): Promise<void> {
  const output = context.output(command)
  await context.database(output, async ({ store }) => {
    const set = await setTenant(store, name, changes)
    if (!set.ok) {
      const details = (set.failure.problems ?? []).map((problem) => ({ ...problem, help: undefined }))
      throw fromAdmin(set.failure, details)
    }
    const { retention_days: days, mask_fields: fields, rules } = set.value
    output.object(set.value, [
      `log rows are kept ${days === null ? 'for ever' : `for ${days} days`}`,
      `masked in addition: ${fields.length === 0 ? 'nothing' : fields.join(', ')}`,
      Object.keys(rules).length === 0
        ? 'no rules beyond the policies'
        : `rules: ${JSON.stringify(rules, null, 2)}`,
    ])
  })
}

async function readJsonFile(path: string): Promise<unknown> {
  const text = await readTextFile(path)
  if (!text.ok) throw fromAdmin(text.failure)
  try {
    return JSON.parse(text.value)
  } catch {
    throw fromAdmin(invalid('tenant.invalid', `\`${path}\` is not valid JSON`))
  }
}

/** In an object, because commander takes a null for an option that is not there. */
function retention(text: string): { readonly days: number | null } {
  return { days: text === 'none' ? null : positiveNumber(text) }
}
