import type { Command } from 'commander'
import type { AdminFailure } from '#admin/failure.ts'
import {
  changeSubject,
  type Named,
  readStream,
  readStreamStatus,
  requestVerification,
  setStreamStatus,
  updateStream,
} from '#admin/managed-streams.ts'
import type { StreamParts } from '#admin/stream-setup.ts'
import type { Result } from '#lib/result.ts'
import type { JsonObject } from '#model/value.ts'
import type { StreamConfiguration } from '#signals/stream-configuration.ts'
import type { Accepted, ToldStatus } from '#signals/transmitter-client.ts'
import type { CliContext } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import type { Output } from './output.ts'
import { repeated } from './values.ts'

interface TenantFlag {
  readonly tenant: string
}

interface ReasonFlags extends TenantFlag {
  readonly reason: string
}

interface StatusFlags extends TenantFlag {
  readonly set?: string
  readonly reason?: string
}

interface UpdateFlags extends ReasonFlags {
  readonly event?: readonly string[]
  readonly description?: string
}

/** `warder signal show|status|update|subject`: streams that Warder has set up at their transmitter. */
export function addManagedCommands(signal: Command, context: CliContext): void {
  addShow(signal, context)
  addStatus(signal, context)
  addUpdate(signal, context)
  const subject = signal
    .command('subject')
    .description('subjects: whom a stream is to tell of, where its transmitter lets receivers choose')
  addSubject(subject, context, 'add', 'ask for events about a subject')
  addSubject(subject, context, 'remove', 'ask for no events about a subject')
}

function addShow(signal: Command, context: CliContext): void {
  named(signal, 'show', 'show a stream as its transmitter has it').action(
    async (name: string, { tenant }: TenantFlag, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ streams }) => {
        const found = unwrap(await readStream(streams, { tenant, name }))
        output.object(found, linesOf(found))
      })
    },
  )
}

function addStatus(signal: Command, context: CliContext): void {
  named(signal, 'status', 'ask the transmitter for the status of a stream, or set it')
    .option('--set <status>', '`enabled`, `paused` (events wait there) or `disabled` (they are lost)')
    .option('--reason <reason>', 'why it is set; told to the transmitter, kept in the audit')
    .action(async (name: string, { tenant, set, reason = '' }: StatusFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ streams }) => {
        const at = { tenant, name }
        const told: Result<ToldStatus | Accepted, AdminFailure> =
          set === undefined
            ? await readStreamStatus(streams, at)
            : await setStreamStatus(streams, { ...at, status: set, reason })
        const value = unwrap(told)
        if (value === 'accepted') return showAccepted(output)
        output.object(value, [value.reason === undefined ? value.status : `${value.status}: ${value.reason}`])
      })
    })
}

function addUpdate(signal: Command, context: CliContext): void {
  named(signal, 'update', 'change which events the transmitter is asked for, or the description')
    .requiredOption('--reason <reason>', 'why; the audit keeps it')
    .option(
      '--event <type>',
      'type of events, in place of those before; may be given more than once',
      repeated,
    )
    .option('--description <text>', 'what the transmitter shows of the stream')
    .action(async (name: string, flags: UpdateFlags, command: Command) => {
      const output = context.output(command)
      const { tenant, reason, event: events, description } = flags
      await context.database(output, async ({ streams }) => {
        const changed = unwrap(await updateStream(streams, { tenant, name, reason, events, description }))
        if (changed === 'accepted') return showAccepted(output)
        output.object(changed, linesOf(changed))
      })
    })
}

function addSubject(
  subject: Command,
  context: CliContext,
  change: 'add' | 'remove',
  description: string,
): void {
  subject
    .command(change)
    .argument('<name>', 'name of the stream')
    .argument('<subject>', 'JSON, such as \'{"format":"email","email":"ann@example.com"}\' (RFC 9493)')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .requiredOption('--reason <reason>', 'why; the audit keeps it')
    .description(description)
    .action(async (name: string, text: string, { tenant, reason }: ReasonFlags, command: Command) => {
      const output = context.output(command)
      const about = subjectOf(text)
      await context.database(output, async ({ streams }) => {
        const request = { tenant, name, reason, change, subject: about }
        output.object(unwrap(await changeSubject(streams, request)), ['the transmitter was told'])
      })
    })
}

/** Asks for a verification event and says until when it has to come. */
export async function askForVerification(output: Output, streams: StreamParts, at: Named): Promise<void> {
  const asked = unwrap(await requestVerification(streams, at))
  output.object(asked, [
    `asked; the event has to come within ${asked.within_seconds} seconds, see \`warder signal list\``,
  ])
}

function named(signal: Command, verb: string, description: string): Command {
  return signal
    .command(verb)
    .argument('<name>', 'name of the stream')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description(description)
}

function linesOf({ stream_id: id, iss, aud, delivery, events_delivered: events }: StreamConfiguration) {
  return [
    `${id} of ${iss} for ${aud.join(' ')}`,
    `${delivery.method} ${delivery.endpoint_url}`,
    ...events.map((type) => `  ${type}`),
  ]
}

function showAccepted(output: Output): void {
  output.object({ accepted: true }, ['the transmitter has accepted it, and has not done it yet'])
}

function subjectOf(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch {
    // Said below.
  }
  const message = 'the subject is not a JSON object'
  throw new CliFailure(EXIT.wrong, { code: 'stream.invalid', message, help: 'see RFC 9493 for its formats' })
}

function unwrap<Value>(result: Result<Value, AdminFailure>): Value {
  if (result.ok) return result.value
  throw fromAdmin(result.failure)
}
