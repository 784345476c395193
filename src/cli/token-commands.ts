import type { Command } from 'commander'
import { addToken, revokeToken } from '#admin/tokens.ts'
import { systemClock } from '#lib/clock.ts'
import type { CliContext } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'
import { repeated, seconds } from './values.ts'

interface AddFlags {
  readonly role: string
  readonly tenant?: readonly string[]
  readonly expires?: number
}

/** `warder token add|list|revoke`. */
export function addTokenCommands(program: Command, context: CliContext): void {
  const token = program.command('token').description('tokens: who may use the admin API, and for what')
  addAdd(token, context)
  token
    .command('list')
    .description('list admin tokens with their beginnings')
    .action(async (_: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, ({ store }) =>
        output.list(
          allPages(
            (page) => store.listAdminTokens(null, page),
            (row) => row.name,
          ),
          [
            { heading: 'token', cell: (row) => row.name },
            { heading: 'role', cell: (row) => row.role },
            { heading: 'tenants', cell: (row) => row.tenants?.join(',') ?? 'all' },
            { heading: 'begins', cell: (row) => row.hint },
            { heading: 'created', cell: (row) => utcTime(row.created_at) },
            { heading: 'expires', cell: (row) => utcTime(row.expires_at) },
            { heading: 'revoked', cell: (row) => utcTime(row.revoked_at) },
          ],
          'no tokens yet; add one with `warder token add NAME --role ROLE`',
        ),
      )
    })
  token
    .command('revoke')
    .argument('<name>', 'name of the token')
    .description('end a token at once')
    .action(async (name: string, _: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const revoked = await revokeToken(store, name, undefined)
        if (!revoked.ok) throw fromAdmin(revoked.failure)
        output.object({ ...revoked.value, revoked: true }, [`revoked token ${name}`])
      })
    })
}

function addAdd(token: Command, context: CliContext): void {
  token
    .command('add')
    .argument('<name>', 'name of the token, never used again')
    .requiredOption(
      '--role <role>',
      'viewer, author, approver, operator or admin; each includes the ones before',
    )
    .option(
      '--tenant <tenant>',
      'a tenant that it may see and change; repeat for more (default: all)',
      repeated,
    )
    .option('--expires <duration>', 'when it ends, such as 12h, 30d (default: never)', seconds)
    .description('make a token for the admin API and print it, this once')
    .action(async (name: string, flags: AddFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const { role, tenant: tenants, expires: expiresInSeconds } = flags
        const request = { name, role, tenants, expiresInSeconds }
        const added = await addToken(store, request, undefined, systemClock())
        if (!added.ok) throw fromAdmin(added.failure)
        output.object(added.value, [added.value.token])
        output.note(`added token ${name} (${role}); it is shown only this once`)
      })
    })
}
