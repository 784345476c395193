import type { Command } from 'commander'
import { tenantUnknown } from '#admin/failure.ts'
import type { AdminStore } from '#admin/ports.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { fromAdmin } from './failure.ts'
import type { CliOptions } from './options.ts'
import { Output } from './output.ts'
import { allPages } from './paging.ts'
import { type Services, withDatabase } from './services.ts'

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
  return {
    options,
    output: (command) =>
      new Output(command.optsWithGlobals()['json'] === true, options.stdout, options.stderr),
    database: (output, work) => withDatabase(options, output, work),
  }
}

/** The tenant that `text` names, if it can be one at all. */
export function tenantOf(text: string): TenantId {
  const tenant = parseTenantId(text)
  if (tenant === undefined) throw fromAdmin(tenantUnknown(text))
  return tenant
}

/** Ends the command when `tenant` is not registered. Asked only where a list came out empty. */
export async function requireTenant(store: AdminStore, tenant: TenantId): Promise<void> {
  const pages = allPages(
    (page) => store.listTenants(page),
    (row) => row.tenant,
  )
  for await (const page of pages) if (page.some((row) => row.tenant === tenant)) return
  throw fromAdmin(tenantUnknown(tenant))
}
