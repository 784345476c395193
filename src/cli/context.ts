import type { Command } from 'commander'
import { tenantUnknown } from '#admin/failure.ts'
import type { AdminStore, Page } from '#admin/ports.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { fromAdmin } from './failure.ts'
import type { CliOptions } from './options.ts'
import { Output } from './output.ts'
import { allPages } from './paging.ts'
import { type Services, withDatabase } from './services.ts'
import type { Column } from './table.ts'

/** What each group of commands is given. */
export interface CliContext {
  readonly options: CliOptions
  /** The output that fits the options of the running command. */
  output(command: Command): Output
  /** Runs `work` with the database open. */
  database<Outcome>(output: Output, work: (services: Services) => Promise<Outcome>): Promise<Outcome>
}

/** The context of a program with `options`. */
export function createContext(options: CliOptions): CliContext {
  let running = 'warder'
  return {
    options,
    output: (command) => {
      running = pathOf(command)
      return new Output(command.optsWithGlobals()['json'] === true, options.stdout, options.stderr)
    },
    database: (output, work) => withDatabase(options, output, running, work),
  }
}

/** `warder tenant add`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** The tenant that an optional `--tenant` names. */
export function optionalTenant(text: string | undefined): TenantId | undefined {
  return text === undefined ? undefined : tenantOf(text)
}

/** The tenant that `text` names, if it can be one at all. */
export function tenantOf(text: string): TenantId {
  const tenant = parseTenantId(text)
  if (tenant === undefined) throw fromAdmin(tenantUnknown(text))
  return tenant
}

/**
 * Pages of a list: of `tenant`, which must be registered, or of all tenants in turn; then every row says whose it is.
 */
export async function* tenantPages<Row extends object>(
  store: AdminStore,
  tenant: TenantId | undefined,
  read: (tenant: TenantId, page: Page) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): AsyncGenerator<readonly (Row & { readonly tenant?: string })[]> {
  for await (const each of tenant === undefined ? tenantIds(store) : [tenant]) {
    if (tenant !== undefined) await requireTenant(store, tenant)
    for await (const rows of allPages((page) => read(each, page), keyOf)) {
      yield tenant === undefined ? rows.map((row) => ({ ...row, tenant: each })) : rows
    }
  }
}

/** The column that tells tenants apart, where a list shows all of them. */
export function tenantColumn(
  tenant: TenantId | undefined,
): readonly Column<{ readonly tenant?: string | undefined }>[] {
  return tenant === undefined ? [{ heading: 'tenant', cell: (row) => row.tenant ?? '' }] : []
}

async function* tenantIds(store: AdminStore): AsyncGenerator<TenantId> {
  const pages = allPages(
    (page) => store.listTenants(page),
    (row) => row.tenant,
  )
  for await (const page of pages) for (const row of page) yield row.tenant
}

/** Ends the command when `tenant` is not registered. */
export async function requireTenant(store: AdminStore, tenant: TenantId): Promise<void> {
  for await (const each of tenantIds(store)) if (each === tenant) return
  throw fromAdmin(tenantUnknown(tenant))
}
