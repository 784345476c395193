import type { TenantId } from '#model/ids.ts'
import { type CheckParts, checkStream } from './check.ts'
import { type Fault, faultIn, faultOf } from './fault.ts'
import type { ManagedStream } from './transmitter-client.ts'

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
  /** Up to `limit` streams that are due, few of each tenant; nobody else gets them for two minutes. */
  lease(
    limit: number,
    tenants: { readonly eachMax: number; readonly except: readonly TenantId[] },
  ): Promise<readonly DueCheck[]>
  /** Says how it went and when the next check is due. */
  done(
    stream: string,
    outcome: { readonly fault: string | undefined; readonly seconds: number },
  ): Promise<void>
}

/** The secret that a stored stream is managed with; undefined when it can't be opened here. */
export type OpenManagementSecret = (
  tenant: TenantId,
  stream: Pick<ManagedStream, 'management' | 'privateNetwork'>,
) => Promise<string | undefined>

const AT_ONCE = 16
const TENANT_AT_ONCE = 2
const CHECK_SECONDS = 3_600
const AGAIN_SECONDS = 300
const BACK_OFF_SECONDS = { first: 60, max: 900 }

/**
 * Checks the streams that are due; gives how many. Of several servers one checks a stream at a time, each hour: sooner where the
 * transmitter would end a stream that nobody asks about, or a verification event is overdue, or the last check failed.
 *
 * INVARIANT: of each tenant few checks are under way, so that transmitters that don't answer hold up their own tenant alone.
 *
 * @param underWay the checks of this server that began earlier; those of this call are in it while they last
 */
export async function checkDue(
  parts: CheckParts & {
    readonly queue: CheckQueue
    readonly openSecret: OpenManagementSecret
    readonly onFault: (stream: string, cause: string) => void
  },
  underWay: Set<DueCheck>,
): Promise<number> {
  const except = [...new Set([...underWay].map(({ tenant }) => tenant))]
  const due = await parts.queue.lease(AT_ONCE, { eachMax: TENANT_AT_ONCE, except })
  for (const stream of due) underWay.add(stream)
  await Promise.all(
    due.map(async (stream) => {
      const fault = await attempt(stream, parts).finally(() => underWay.delete(stream))
      if (fault !== undefined) parts.onFault(`${stream.tenant}/${stream.name}`, fault.logged)
      const seconds = secondsUntilNext(stream, fault?.told)
      await parts.queue.done(stream.id, { fault: fault?.told, seconds })
    }),
  )
  return due.length
}

/** Why it failed; undefined: it did not. */
async function attempt(
  stream: DueCheck,
  { openSecret, ...parts }: CheckParts & { readonly openSecret: OpenManagementSecret },
): Promise<Fault | undefined> {
  const secret = await openSecret(stream.tenant, stream)
  if (secret === undefined) return faultIn('the secret of the stream can not be opened')
  return await faultOf(checkStream({ ...stream, management: { ...stream.management, secret } }, parts))
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
