import type { Command } from 'commander'
import { readTextFile } from '#admin/policy-folder.ts'
import type { SignalAdminStore, StreamListing } from '#admin/signal-ports.ts'
import { addStream, removeStream } from '#admin/signals.ts'
import type { TenantId } from '#model/ids.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { addReceiverCommands } from './receiver-commands.ts'
import { utcTime } from './table.ts'

interface TenantFlag {
  readonly tenant: string
}

/** `warder signal add|list|remove|verify`. */
export function addSignalCommands(program: Command, context: CliContext): void {
  const signal = program
    .command('signal')
    .description('signals: security events of others that revoke (Shared Signals, CAEP, RISC)')
  addAdd(signal, context)
  addList(signal, context)
  signal
    .command('remove')
    .argument('<name>', 'name of the stream')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('end a stream; what it revoked stays revoked')
    .action(async (name: string, flags: TenantFlag, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ signals }) => {
        const removed = await removeStream(signals, { tenant: flags.tenant, name })
        if (!removed.ok) throw fromAdmin(removed.failure)
        output.object({ ...removed.value, removed: true }, [`removed stream ${name}`])
      })
    })
  addVerify(signal, context)
  addReceiverCommands(signal, context)
}

function addAdd(signal: Command, context: CliContext): void {
  signal
    .command('add')
    .argument('<name>', 'name of the stream, unique in its tenant')
    .argument('<file>', 'JSON file with issuer, audience and jwks_uri or jwks (docs/revocation.md)')
    .requiredOption('--tenant <tenant>', 'tenant whose subjects it may stop')
    .description(
      'register a stream; unless it is fetched, print where and with what its transmitter pushes, this once',
    )
    .action(async (name: string, file: string, flags: TenantFlag, command: Command) => {
      const output = context.output(command)
      const text = await readTextFile(file)
      if (!text.ok) throw fromAdmin(text.failure)
      await context.database(output, async ({ signals }) => {
        const added = await addStream(signals, { tenant: flags.tenant, name, text: text.value })
        if (!added.ok) throw fromAdmin(added.failure)
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

function addList(signal: Command, context: CliContext): void {
  signal
    .command('list')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('list streams, and when they were last heard of')
    .action(async (flags: TenantFlag, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store, signals }) => {
        await requireTenant(store, tenant)
        await output.list(
          allPages(
            (page) => signals.listStreams(tenant, page),
            (row) => row.name,
          ),
          [
            { heading: 'stream', cell: (row) => row.name },
            { heading: 'issuer', cell: (row) => row.issuer },
            { heading: 'speaks of', cell: (row) => row.subject_issuers.join(' ') },
            { heading: 'wide', cell: (row) => (row.wide ? 'yes' : 'no') },
            { heading: 'status', cell: (row) => row.status },
            { heading: 'last event', cell: (row) => utcTime(row.last_event_at) },
            { heading: 'verified', cell: (row) => utcTime(row.verified_at) },
            { heading: 'push to', cell: (row) => (row.poll === null ? `/v1/signals/${row.stream}` : '-') },
            { heading: 'fetched', cell: fetched },
          ],
          'no streams yet; add one with `warder signal add NAME FILE --tenant TENANT`',
        )
      })
    })
}

function addVerify(signal: Command, context: CliContext): void {
  signal
    .command('verify')
    .argument('<name>', 'name of the stream')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .option('--state <state>', 'the state that the transmitter was asked to send')
    .description('tell whether the verification event of a stream has arrived')
    .action(async (name: string, flags: TenantFlag & { readonly state?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ signals }) => {
        const found = await findStream(signals, tenant, name)
        const isVerified =
          found?.verified_at != null && (flags.state === undefined || flags.state === found.verified_state)
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

async function findStream(
  signals: SignalAdminStore,
  tenant: TenantId,
  name: string,
): Promise<StreamListing | undefined> {
  const pages = allPages(
    (page) => signals.listStreams(tenant, page),
    (row) => row.name,
  )
  for await (const rows of pages) {
    const found = rows.find((row) => row.name === name)
    if (found !== undefined) return found
  }
  return undefined
}
