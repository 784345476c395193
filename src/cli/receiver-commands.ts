import type { Command } from 'commander'
import type { ReceiverListing } from '#admin/receiver-ports.ts'
import {
  addReceiver,
  removeReceiver,
  revokeReceiver,
  rotateReceiver,
  showReceiver,
} from '#admin/receivers.ts'
import { systemClock } from '#lib/clock.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'
import { seconds } from './values.ts'

interface TenantFlag {
  readonly tenant: string
}

interface AddFlags extends TenantFlag {
  readonly webhook?: boolean
  readonly audience?: string
  readonly privateNetwork?: boolean
}

/** `warder signal receiver add|list|show|rotate|revoke|remove`. */
export function addReceiverCommands(signal: Command, context: CliContext): void {
  const receiver = signal
    .command('receiver')
    .description("receivers: who is told of a tenant's revocations, by signed events")
  addAdd(receiver, context)
  addList(receiver, context)
  addShow(receiver, context)
  addRotate(receiver, context)
  one(receiver, 'revoke', 'end the credentials of a receiver on every server and disable its stream').action(
    async (name: string, { tenant }: TenantFlag, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const revoked = await revokeReceiver(store, { tenant, name })
        if (!revoked.ok) throw fromAdmin(revoked.failure)
        output.object({ ...revoked.value, revoked: true }, [`revoked the credentials of receiver ${name}`])
      })
    },
  )
  one(receiver, 'remove', 'tell it nothing more; what waits for it is dropped').action(
    async (name: string, { tenant }: TenantFlag, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const removed = await removeReceiver(store, { tenant, name })
        if (!removed.ok) throw fromAdmin(removed.failure)
        output.object({ ...removed.value, removed: true }, [`removed receiver ${name}`])
      })
    },
  )
}

/** A command about one receiver. */
function one(receiver: Command, verb: string, description: string): Command {
  return receiver
    .command(verb)
    .argument('<name>', 'name of the receiver')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description(description)
}

function addAdd(receiver: Command, context: CliContext): void {
  receiver
    .command('add')
    .argument('<name>', 'name of the receiver, unique in its tenant')
    .argument(
      '[url]',
      'where events are pushed to; without it the receiver gets a credential, printed this once, and makes its stream itself',
    )
    .requiredOption('--tenant <tenant>', 'tenant whose revocations it is told of')
    .option(
      '--webhook',
      'a gateway: told of every revocation, as in the stream (default: CAEP session-revoked)',
    )
    .option(
      '--audience <audience>',
      '`aud` of the events (default: the URL, else urn:warder:receiver:TENANT:NAME)',
    )
    .option('--private-network', 'the URL may lead into a private network or to this machine')
    .description('tell somebody of revocations from now on')
    .action(async (name: string, url: string | undefined, flags: AddFlags, command: Command) => {
      const output = context.output(command)
      const { tenant, audience, privateNetwork = false } = flags
      const kind = flags.webhook === true ? 'webhook' : 'caep'
      await context.database(output, async ({ store }) => {
        const added = await addReceiver(store, { tenant, name, url, kind, audience, privateNetwork })
        if (!added.ok) throw fromAdmin(added.failure)
        const { key } = added.value
        output.object(added.value, [key ?? `added receiver ${name} (${kind})`])
        if (key !== null)
          output.note(`added receiver ${name} (${kind}); its credential is shown only this once`)
      })
    })
}

function addList(receiver: Command, context: CliContext): void {
  receiver
    .command('list')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('list receivers, and what waits for them')
    .action(async (flags: TenantFlag, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store }) => {
        await requireTenant(store, tenant)
        await output.list(
          allPages(
            (page) => store.listReceivers(tenant, page),
            (row) => row.name,
          ),
          [
            { heading: 'receiver', cell: (row) => row.name },
            { heading: 'kind', cell: (row) => row.kind },
            { heading: 'events', cell: deliveryText },
            { heading: 'status', cell: (row) => (row.stream === null ? '-' : row.status) },
            { heading: 'waiting', cell: (row) => `${row.waiting}` },
            { heading: 'dropped', cell: (row) => `${row.dropped}` },
            { heading: 'begins', cell: (row) => row.key_hints.join(' ') || '-' },
            { heading: 'created', cell: (row) => utcTime(row.created_at) },
          ],
          'no receivers yet; add one with `warder signal receiver add NAME URL --tenant TENANT`',
        )
      })
    })
}

function addShow(receiver: Command, context: CliContext): void {
  one(receiver, 'show', 'show a receiver, its stream and its queue').action(
    async (name: string, { tenant }: TenantFlag, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const found = await showReceiver(store, { tenant, name })
        if (!found.ok) throw fromAdmin(found.failure)
        output.object(found.value, shown(found.value))
      })
    },
  )
}

function addRotate(receiver: Command, context: CliContext): void {
  one(receiver, 'rotate', 'make a new credential for a receiver and print it, this once')
    .option('--keep <duration>', 'how long the older ones stay valid, such as 1h (default: 0s)', seconds)
    .action(async (name: string, flags: TenantFlag & { readonly keep?: number }, command: Command) => {
      const output = context.output(command)
      const { tenant, keep: keepSeconds = 0 } = flags
      await context.database(output, async ({ store }) => {
        const rotated = await rotateReceiver(
          store,
          { tenant, name, keepSeconds, mayOpenPrivate: true },
          systemClock(),
        )
        if (!rotated.ok) throw fromAdmin(rotated.failure)
        output.object(rotated.value, [rotated.value.key])
        output.note(`rotated the credential of receiver ${name}; it is shown only this once`)
      })
    })
}

function deliveryText({ delivery, url }: ReceiverListing): string {
  if (delivery === null) return 'no stream'
  return delivery === 'poll' ? 'fetched' : `to ${url ?? ''}`
}

function shown(row: ReceiverListing): readonly string[] {
  const asked = row.events_requested?.join(' ') ?? 'everything'
  return [
    `${row.name} (${row.kind}), aud ${row.audience}`,
    row.stream === null ? 'no stream' : `stream ${row.stream}, ${row.status}, ${deliveryText(row)}`,
    ...(row.status_reason === null ? [] : [`because: ${row.status_reason}`]),
    ...(row.description === null ? [] : [`description: ${row.description}`]),
    `asked for: ${asked}`,
    `credentials: ${row.key_hints.join(' ') || 'none'}`,
    `waiting: ${row.waiting}, the oldest since ${utcTime(row.oldest_waiting_at)}`,
    `dropped: ${row.dropped}; refused: ${row.refused}, the latest: ${row.last_refusal ?? '-'}`,
    `verification last asked for: ${utcTime(row.verification_at)}`,
  ]
}
