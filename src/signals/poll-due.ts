import type { TenantId } from '#model/ids.ts'
import { type Fault, faultIn } from './fault.ts'
import type { Polled, PolledStream, PollStream } from './poll.ts'
import type { PollSource } from './poll-source.ts'
import type { SignalStream } from './stream.ts'

/** A stream that is due, leased to this server for a while; the secret of its source is sealed. */
export interface DueStream extends SignalStream {
  /** Polls that failed since the last good one. */
  readonly failures: number
}

/** Streams whose events are fetched, durably. */
export interface PollQueue {
  /** Up to `limit` streams that are due; nobody else gets them for two minutes. */
  lease(limit: number): Promise<readonly DueStream[]>
  /** Says how it went and when the next poll is due. */
  done(
    stream: string,
    outcome: { readonly fault: string | undefined; readonly seconds: number },
  ): Promise<void>
}

/** The secret of a stored source; undefined when it can't be opened here. */
export type OpenPollSecret = (
  tenant: TenantId,
  source: PollSource,
  privateNetwork: boolean,
) => Promise<string | undefined>

const AT_ONCE = 16
const SHORT_SECONDS = 5
const BACK_OFF_SECONDS_MAX = 300

/**
 * Polls the streams that are due; gives how many. Of several servers one polls a stream at a time. After a failure the next poll
 * waits, each time twice as long, up to five minutes.
 */
export async function pollDue(
  parts: {
    readonly queue: PollQueue
    readonly poll: PollStream
    readonly openSecret: OpenPollSecret
    readonly onFault: (stream: string, cause: string) => void
  },
  signal: AbortSignal,
): Promise<number> {
  const due = await parts.queue.lease(AT_ONCE)
  await Promise.all(
    due.map(async (stream) => {
      const outcome = await attempt(stream, parts, signal)
      // Whoever ends leaves the stream to the others at once.
      if (signal.aborted) return await parts.queue.done(stream.id, { fault: undefined, seconds: 0 })
      const isFault = 'told' in outcome
      if (isFault) parts.onFault(`${stream.tenant}/${stream.name}`, outcome.logged)
      const seconds = isFault
        ? Math.min(2 ** Math.min(stream.failures + 1, 10), BACK_OFF_SECONDS_MAX)
        : stream.source?.long === true && !outcome.more
          ? 0
          : SHORT_SECONDS
      const fault = isFault ? outcome.told : undefined
      await parts.queue.done(stream.id, { fault, seconds })
    }),
  )
  return due.length
}

/** What it brought, or why it failed. */
async function attempt(
  { source, ...stream }: DueStream,
  { poll, openSecret }: { readonly poll: PollStream; readonly openSecret: OpenPollSecret },
  signal: AbortSignal,
): Promise<Polled | Fault> {
  try {
    if (source === undefined) return faultIn('the stream has no URL to poll')
    const secret = await openSecret(stream.tenant, source, stream.issuer.privateNetwork === true)
    if (secret === undefined) return faultIn('the secret of the stream can not be opened')
    return await poll({ ...stream, source: { ...source, secret } } satisfies PolledStream, signal)
  } catch (error) {
    return faultIn(error)
  }
}
