import type { TenantId } from '#model/ids.ts'
import { type CheckParts, checkStream } from './check.ts'
import type { ManagedStream, StreamManagement } from './transmitter-client.ts'

/** A stream whose transmitter is to be asked, leased to this server for a while; the secret is sealed. */
export interface DueCheck extends ManagedStream {
  readonly tenant: TenantId
  readonly name: string
  /** Checks that failed since the last good one. */
  readonly failures: number
  /** Whether a verification event that was asked for should have come by now. */
  readonly overdue: boolean
}

/** Streams whose transmitters are asked how they are, durably. */
export interface CheckQueue {
  /** Up to `limit` streams that are due; nobody else gets them for two minutes. */
  lease(limit: number): Promise<readonly DueCheck[]>
  /** Says how it went and when the next check is due. */
  done(
    stream: string,
    outcome: { readonly fault: string | undefined; readonly seconds: number },
  ): Promise<void>
}

/** The secret that a stored stream is managed with; undefined when it can't be opened here. */
export type OpenManagementSecret = (
  tenant: TenantId,
  management: StreamManagement,
) => Promise<string | undefined>

const AT_ONCE = 16
const CHECK_SECONDS = 3_600
const AGAIN_SECONDS = 300
const BACK_OFF_SECONDS = { first: 60, max: 900 }
const FAULT_CHARACTERS_MAX = 300

/**
 * Checks the streams that are due; gives how many. Of several servers one checks a stream at a time, each hour: sooner where the
 * transmitter would end a stream that nobody asks about, or a verification event is overdue, or the last check failed.
 */
export async function checkDue(
  parts: CheckParts & {
    readonly queue: CheckQueue
    readonly openSecret: OpenManagementSecret
    readonly onFault: (stream: string, cause: string) => void
  },
): Promise<number> {
  const due = await parts.queue.lease(AT_ONCE)
  await Promise.all(
    due.map(async (stream) => {
      const fault = await attempt(stream, parts)
      if (fault !== undefined) parts.onFault(`${stream.tenant}/${stream.name}`, fault)
      await parts.queue.done(stream.id, { fault, seconds: secondsUntilNext(stream, fault) })
    }),
  )
  return due.length
}

/** Why it failed; undefined: it did not. */
async function attempt(
  stream: DueCheck,
  { openSecret, ...parts }: CheckParts & { readonly openSecret: OpenManagementSecret },
): Promise<string | undefined> {
  const secret = await openSecret(stream.tenant, stream.management)
  if (secret === undefined) return 'the secret of the stream can not be opened'
  return await faultOf(checkStream({ ...stream, management: { ...stream.management, secret } }, parts))
}

/** Why `work` failed, short; undefined: it did not. */
export async function faultOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return (error instanceof Error ? error.message : 'unknown fault').slice(0, FAULT_CHARACTERS_MAX)
  }
}

/** Pause before the next check of a stream. */
export function secondsUntilNext(
  { management, failures, overdue }: Pick<DueCheck, 'management' | 'failures' | 'overdue'>,
  fault: string | undefined,
): number {
  const { verificationSecondsMin = 0, inactivitySeconds = Number.POSITIVE_INFINITY } = management
  const backOff = Math.min(BACK_OFF_SECONDS.first * 2 ** Math.min(failures, 10), BACK_OFF_SECONDS.max)
  if (fault !== undefined) return Math.max(backOff, verificationSecondsMin)
  const wanted = overdue ? AGAIN_SECONDS : Math.min(CHECK_SECONDS, Math.floor(inactivitySeconds / 2))
  return Math.max(wanted, verificationSecondsMin, 1)
}
