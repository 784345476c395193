import type { OpenSealing } from '#admin/sealing.ts'
import type { FaultLines } from '#fault-lines.ts'
import type { Metrics } from '#http/metrics.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { systemClock } from '#lib/clock.ts'
import { faultText } from '#process-log.ts'
import { createPollStream } from '#signals/poll.ts'
import { pollDue } from '#signals/poll-due.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import type { Database } from '#store/database.ts'
import { createPollQueue } from '#store/polls.ts'
import { createSignalStore } from '#store/signals.ts'
import { openPollSecret } from '#store/stream-secrets.ts'

const LOOK_MILLISECONDS = 1_000
/** Sixteen streams each. */
const ROUNDS_MAX = 32

/** Looks every second for streams that are due to be fetched; gives what ends it. */
export function wirePolls(
  db: Database,
  sealing: OpenSealing,
  metrics: Pick<Metrics, 'pollFault'>,
  faults: FaultLines,
): () => Promise<void> {
  const closing = new AbortController()
  const keys = createKeySets({
    fetch: createFetchJwks(),
    clock: systemClock,
    onFault: (about, fault) =>
      faults.report({ message: 'the keys of a signal stream could not be fetched', about, fault }),
  })
  const poll = createPollStream({
    send: sendOutbound,
    tokens: createTransmitterTokens(sendOutbound, systemClock),
    store: createSignalStore(db),
    keys,
    clock: systemClock,
  })
  const parts = {
    queue: createPollQueue(db),
    poll,
    openSecret: openPollSecret(sealing),
    onFault: (about: string, fault: string) => {
      metrics.pollFault()
      faults.report({ message: 'a signal stream could not be fetched', about, fault })
    },
  }
  const underWay = new Set<Promise<unknown>>()
  const timer = setInterval(() => {
    if (underWay.size >= ROUNDS_MAX) return
    const round: Promise<unknown> = pollDue(parts, closing.signal)
      .catch((error: unknown) =>
        faults.report({ message: 'signal streams could not be read', fault: faultText(error) }),
      )
      .finally(() => underWay.delete(round))
    underWay.add(round)
  }, LOOK_MILLISECONDS)
  return async () => {
    clearInterval(timer)
    closing.abort()
    keys.close()
    await Promise.all(underWay)
  }
}
