import type { Command } from 'commander'
import { liftRevocation, revoke } from '#admin/revocation.ts'
import { type RevocationListing, revocationKey } from '#admin/revocation-ports.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { type CliContext, tenantOf } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import type { Services } from './services.ts'
import { type Column, utcTime } from './table.ts'
import { seconds } from './values.ts'

interface PlaceFlags {
  readonly tenant?: string
  readonly allTenants?: boolean
}

interface RevokeFlags extends PlaceFlags {
  readonly reason?: string
  readonly expires?: number
  readonly issuedBefore?: string
  readonly as?: string
}

interface ListFlags extends PlaceFlags {
  readonly all?: boolean
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$/

/** `warder revoke KIND ID` with `list` and `lift`, and `warder kill KIND [ID]` with the same. */
export function addRevocationCommands(program: Command, context: CliContext): void {
  const revoking = program
    .command('revoke')
    .argument('<kind>', 'token, subject, agent, client, session, grant, edge, key, certificate, issuer, ...')
    .argument(
      '[id]',
      'what of that kind: `ISSUER|JTI` for a token, `FROM>TO` for an edge (docs/revocation.md)',
    )
    .description('revoke something and all that hangs below it')
  addRevoke(revoking, context, 'deny')
  addList(revoking, context, undefined)
  addLift(revoking, context)
  const killing = program
    .command('kill')
    .argument('<kind>', 'agent, blueprint, tool, tenant or everything')
    .argument('[id]', 'which one')
    .description('stop something at once, until somebody else lifts it')
  addRevoke(killing, context, 'kill')
  addList(killing, context, 'kill')
  addLift(killing, context)
}

function addRevoke(parent: Command, context: CliContext, mode: 'deny' | 'kill'): void {
  addPlace(parent)
    .option('--reason <text>', 'why, for whoever asks later')
    .option('--expires <duration>', 'when it ends, such as 12h, 30d (default: when it is lifted)', seconds)
    .option('--issued-before <time>', '`now` or a time: only tokens that were issued before')
    .option('--as <name>', 'who you are, where several people use this account')
    .action(async (kind: string, id: string | undefined, flags: RevokeFlags, command: Command) => {
      const output = context.output(command)
      const { reason = '', expires: expiresInSeconds, issuedBefore } = flags
      const request = { tenant: placeOf(flags), kind, id, reason, expiresInSeconds, issuedBefore }
      await context.database(output, async (services) => {
        const revoked = await revoke(storeAs(services, flags.as), mode, request, systemClock())
        if (!revoked.ok) throw fromAdmin(revoked.failure)
        const verb = mode === 'kill' ? 'stopped' : 'revoked'
        output.object(revoked.value, [`${verb} ${kind} ${revoked.value.id}: ${revoked.value.revocation}`])
      })
    })
}

function addList(parent: Command, context: CliContext, mode: 'kill' | undefined): void {
  addPlace(parent.command('list'))
    .option('--all', 'lifted and expired ones too')
    .description(mode === 'kill' ? 'list kill switches that are set' : 'list what is revoked, newest first')
    .action(async (_: unknown, command: Command) => {
      const output = context.output(command)
      const flags: ListFlags = command.optsWithGlobals()
      const tenant = flags.tenant === undefined && flags.allTenants !== true ? undefined : placeOf(flags)
      const filter = { tenant, mode, includeOver: flags.all === true }
      await context.database(output, ({ store }) =>
        output.list(
          allPages((page) => store.listRevocations(filter, page), revocationKey),
          COLUMNS,
          mode === 'kill' ? 'no kill switch is set' : 'nothing is revoked',
        ),
      )
    })
}

const COLUMNS: readonly Column<RevocationListing>[] = [
  { heading: 'revocation', cell: (row) => row.revocation },
  { heading: 'tenant', cell: (row) => row.tenant ?? 'all' },
  { heading: 'mode', cell: (row) => row.mode },
  { heading: 'kind', cell: (row) => row.kind },
  { heading: 'id', cell: (row) => row.id },
  { heading: 'issued before', cell: (row) => utcTime(row.issued_before) },
  { heading: 'expires', cell: (row) => utcTime(row.expires_at) },
  { heading: 'by', cell: (row) => row.actor },
  { heading: 'lifted', cell: (row) => utcTime(row.lifted_at) },
  { heading: 'reason', cell: (row) => row.reason },
]

function addLift(parent: Command, context: CliContext): void {
  addPlace(parent.command('lift'))
    .argument('<revocation>', 'its own id, as `list` shows it')
    .option('--as <name>', 'who you are; a kill switch is lifted by somebody else than who set it')
    .description('take back a revocation or a kill switch')
    .action(async (id: string, _: unknown, command: Command) => {
      const output = context.output(command)
      const flags: PlaceFlags & { readonly as?: string } = command.optsWithGlobals()
      const tenant = placeOf(flags)
      await context.database(output, async (services) => {
        const lifted = await liftRevocation(storeAs(services, flags.as), tenant, id)
        if (!lifted.ok) throw fromAdmin(lifted.failure)
        output.object(lifted.value, [`lifted ${lifted.value.kind} ${lifted.value.id}`])
      })
    })
}

function addPlace(command: Command): Command {
  return command
    .option('--tenant <tenant>', 'the tenant that it concerns')
    .option('--all-tenants', 'the whole installation')
}

/** Null: the whole installation. One of both has to be said, because a slip would stop too much or nothing. */
function placeOf({ tenant, allTenants = false }: PlaceFlags): TenantId | null {
  if ((tenant === undefined) === !allTenants) {
    const message = 'say which tenant it concerns'
    throw new CliFailure(EXIT.usage, {
      code: 'cli.usage',
      message,
      help: 'give `--tenant TENANT` or `--all-tenants`, one of them',
    })
  }
  return tenant === undefined ? null : tenantOf(tenant)
}

/** The store of whoever `--as` names; whoever has the database could do anything, so this is a statement for the audit. */
function storeAs({ store, actor }: Services, as: string | undefined): Services['store'] {
  if (as === undefined) return store
  if (NAME.test(as)) return store.by({ ...actor, actor: `${actor.actor} as ${as}` })
  const message = `\`${as.slice(0, 80)}\` can not be a name`
  throw new CliFailure(EXIT.usage, { code: 'cli.usage', message, help: 'use letters, digits and `-_.@`' })
}
