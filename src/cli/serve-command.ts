import type { Command } from 'commander'
import { readPolicyFolder } from '#admin/policy-folder.ts'
import type { CliContext } from './context.ts'
import { tenantOf } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import type { WatchedFolder } from './options.ts'
import { serveFailure } from './serve-failure.ts'
import { settingsOf } from './services.ts'

interface ServeFlags {
  readonly policies?: string
  readonly watch?: boolean
  readonly tenant: string
  readonly dev?: boolean
  readonly workers?: string
}

/** `warder serve`. */
export function addServeCommand(program: Command, context: CliContext): void {
  program
    .command('serve')
    .option('--workers <number>', 'processes that decide on the same ports; in place of WARDER_WORKERS')
    .option('--policies <dir>', 'policy folder to publish from, for writing policies; needs --watch')
    .option(
      '--watch',
      'push and activate the folder now and after each change; errors never replace what is active',
    )
    .option('--tenant <tenant>', 'tenant that gets the releases', 'demo')
    .option('--dev', 'allow --watch although the database is an outside one')
    .description('run the server; docs/configuration.md lists its settings')
    .action(async (flags: ServeFlags, command: Command) => {
      const watched = await watchedFolder(flags, context, context.output(command).json)
      await context.options.serve({ watched, workers: flags.workers }).catch((fault: unknown) => {
        throw serveFailure(fault, context.options) ?? fault
      })
    })
}

async function watchedFolder(
  { policies, watch = false, tenant, dev = false }: ServeFlags,
  context: CliContext,
  json: boolean,
): Promise<WatchedFolder | undefined> {
  if ((policies !== undefined) !== watch)
    throw new CliFailure(EXIT.usage, {
      code: 'cli.usage',
      message: '`--policies` and `--watch` belong together',
      help: 'without them, publish with `warder policy push DIR --tenant TENANT --activate`',
    })
  if (policies === undefined) return undefined
  // INVARIANT: what an editor saves never becomes what others are judged by, unless somebody says that this is meant.
  if (settingsOf(context.options).databaseUrl !== undefined && !dev)
    throw new CliFailure(EXIT.refused, {
      code: 'serve.watch_refused',
      message: 'every save would be activated on all servers of the database in WARDER_DATABASE_URL',
      help: 'use the embedded database, or add `--dev` if this database is for development only',
    })
  const files = await readPolicyFolder(policies)
  if (!files.ok) throw fromAdmin(files.failure)
  return { directory: policies, tenant: tenantOf(tenant), json }
}
