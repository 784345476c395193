import type { Command } from 'commander'
import { readTextFile } from '#admin/policy-folder.ts'
import type { SignalAdminStore, StreamListing } from '#admin/signal-ports.ts'
import { addStream, removeStream } from '#admin/signals.ts'
import type { SetUpStream } from '#admin/stream-setup.ts'
import type { TenantId } from '#model/ids.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import { addManagedCommands, askForVerification } from './managed-stream-commands.ts'
import type { Output } from './output.ts'
import { allPages } from './paging.ts'
import { addReceiverCommands } from './receiver-commands.ts'
import { utcTime } from './table.ts'

interface TenantFlag {
  readonly tenant: string
}

interface RemoveFlags extends TenantFlag {
  readonly reason: string
  readonly onlyHere?: boolean
}

interface VerifyFlags extends TenantFlag {
  readonly state?: string
  readonly request?: boolean
}

/** `warder signal add|list|remove|verify`, the commands for managed streams, and those for receivers. */
export function addSignalCommands(program: Command, context: CliContext): void {
  const signal = program
    .command('signal')
    .description('signals: security events of others that revoke (Shared Signals, CAEP, RISC)')
  addAdd(signal, context)
  addList(signal, context)
  addRemove(signal, context)
  addVerify(signal, context)
  addManagedCommands(signal, context)
  addReceiverCommands(signal, context)
}

function addAdd(signal: Command, context: CliContext): void {
  signal
    .command('add')
    .argument('<name>', 'name of the stream, unique in its tenant')
    .argument('<file>', 'JSON file with issuer and transmitter, or audience and keys (docs/revocation.md)')
    .requiredOption('--tenant <tenant>', 'tenant whose subjects it may stop')
    .description(
      'set a stream up at its transmitter; or register one that was set up by hand, and print where and with what it is pushed, this once',
    )
    .action(async (name: string, file: string, flags: TenantFlag, command: Command) => {
      const output = context.output(command)
      const text = await readTextFile(file)
      if (!text.ok) throw fromAdmin(text.failure)
      await context.database(output, async ({ streams }) => {
        const added = await addStream(streams, { tenant: flags.tenant, name, text: text.value })
        if (!added.ok) throw fromAdmin(added.failure)
        if ('transmitter_stream' in added.value) return showSetUp(output, added.value)
        if ('poll' in added.value) {
          output.object(added.value, [`added stream ${name}, fetched from ${added.value.poll}`])
          return
        }
        const { path, authorization } = added.value
        output.object(added.value, [`push to: ${path}`, `Authorization: ${authorization}`])
        output.note(`added stream ${name}; the header value is shown only this once`)
      })
    })
}

function showSetUp(output: Output, added: SetUpStream): void {
  const {
    name,
    transmitter_stream: id,
    delivery,
    audience,
    events_delivered: events,
    check_fault: fault,
  } = added
  output.object(added, [
    `added stream ${name}: ${id} at its transmitter, by ${delivery}, for ${audience.join(' ')}`,
    ...(events.length === 0 ? ['no events will be delivered'] : events.map((type) => `  ${type}`)),
  ])
  output.note(
    fault === null
      ? `see \`warder signal list\` whether its verification event arrives`
      : `it was added, but could not be asked for a verification event: ${fault}`,
  )
}

function addList(signal: Command, context: CliContext): void {
  signal
    .command('list')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('list streams, how they stand, and when they were last heard of')
    .action(async (flags: TenantFlag, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store, streams }) => {
        await requireTenant(store, tenant)
        await output.list(
          allPages(
            (page) => streams.store.listStreams(tenant, page),
            (row) => row.name,
          ),
          [
            { heading: 'stream', cell: (row) => row.name },
            { heading: 'issuer', cell: (row) => row.issuer },
            { heading: 'speaks of', cell: (row) => row.subject_issuers.join(' ') },
            { heading: 'wide', cell: (row) => (row.wide ? 'yes' : 'no') },
            { heading: 'standing', cell: standingCell },
            { heading: 'status', cell: (row) => row.status },
            { heading: 'last event', cell: (row) => utcTime(row.last_event_at) },
            { heading: 'verified', cell: (row) => utcTime(row.verified_at) },
            { heading: 'checked', cell: checked },
            { heading: 'push to', cell: (row) => (row.poll === null ? `/v1/signals/${row.stream}` : '-') },
            { heading: 'fetched', cell: fetched },
          ],
          'no streams yet; add one with `warder signal add NAME FILE --tenant TENANT`',
        )
      })
    })
}

function addRemove(signal: Command, context: CliContext): void {
  signal
    .command('remove')
    .argument('<name>', 'name of the stream')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .requiredOption('--reason <reason>', 'why; the audit keeps it')
    .option('--only-here', 'not at its transmitter, which may be gone')
    .description(
      'end a stream, at its transmitter too if it was set up from here; what it revoked stays revoked',
    )
    .action(async (name: string, flags: RemoveFlags, command: Command) => {
      const output = context.output(command)
      const { tenant, reason, onlyHere = false } = flags
      await context.database(output, async ({ streams }) => {
        const removed = await removeStream(streams, { tenant, name, reason, onlyHere })
        if (!removed.ok) throw fromAdmin(removed.failure)
        output.object({ ...removed.value, removed: true }, [`removed stream ${name}`])
      })
    })
}

function addVerify(signal: Command, context: CliContext): void {
  signal
    .command('verify')
    .argument('<name>', 'name of the stream')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .option('--state <state>', 'the state that the transmitter was asked to send')
    .option('--request', 'ask the transmitter for a verification event')
    .description('tell whether the verification event of a stream has arrived')
    .action(async (name: string, flags: VerifyFlags, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ streams }) => {
        if (flags.request === true) return await askForVerification(output, streams, { tenant, name })
        const found = await findStream(streams.store, tenant, name)
        const isVerified =
          found?.verified_at != null &&
          found.standing !== 'unverified' &&
          (flags.state === undefined || flags.state === found.verified_state)
        if (!isVerified) {
          const message = `no verification event of \`${name.slice(0, 80)}\`${flags.state === undefined ? '' : ' with this state'} has arrived`
          throw new CliFailure(EXIT.refused, { code: 'stream.unverified', message })
        }
        output.object(found, [`verified at ${found.verified_at}, state ${found.verified_state ?? '-'}`])
      })
    })
}

/** How the latest poll went. */
function fetched({ poll, polled_at: at, poll_fault: fault }: StreamListing): string {
  if (poll === null) return '-'
  return fault === null ? utcTime(at) : `failing: ${fault}`
}

/** How the latest check went. */
function checked({ checked_at: at, check_fault: fault }: StreamListing): string {
  return fault === null ? utcTime(at) : `failing: ${fault}`
}

function standingCell({ standing, verification_due_at: due }: StreamListing): string {
  if (standing === 'unverified') return `unverified since ${utcTime(due)}`
  return standing === 'waiting' ? `waiting until ${utcTime(due)}` : standing
}

async function findStream(
  store: SignalAdminStore,
  tenant: TenantId,
  name: string,
): Promise<StreamListing | undefined> {
  const pages = allPages(
    (page) => store.listStreams(tenant, page),
    (row) => row.name,
  )
  for await (const rows of pages) {
    const found = rows.find((row) => row.name === name)
    if (found !== undefined) return found
  }
  return undefined
}
