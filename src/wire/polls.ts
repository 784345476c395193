import type { OpenSealing } from '#admin/sealing.ts'
import type { Metrics } from '#http/metrics.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { systemClock } from '#lib/clock.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'
import { checkDue, type DueCheck } from '#signals/check-due.ts'
import { createPollStream } from '#signals/poll.ts'
import { pollDue } from '#signals/poll-due.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { createTransmitterClient, type TransmitterClient } from '#signals/transmitter-client.ts'
import type { Database } from '#store/database.ts'
import { countStandings, createCheckQueue, createQuestions } from '#store/managed-streams.ts'
import { createPollQueue } from '#store/polls.ts'
import { createSignalStore } from '#store/signals.ts'
import { openManagementSecret, openPollSecret } from '#store/stream-secrets.ts'

/** Streams of security events that this server fetches and checks. */
export interface WiredPolls {
  /** For administrators, who manage streams with it. */
  readonly client: TransmitterClient
  /** How many streams of this installation stand how, at most half a minute ago; empty until they were counted. */
  standings(): ReadonlyMap<string, number>
  close(): Promise<void>
}

const LOOK_MILLISECONDS = 1_000
const CHECK_MILLISECONDS = 5_000
const COUNT_MILLISECONDS = 15_000
/** Up to sixteen streams each. */
const ROUNDS_MAX = 32

/** Looks again and again for streams that are due to be fetched, or whose transmitters are to be asked how they are. */
export function wirePolls(
  db: Database,
  sealing: OpenSealing,
  metrics: Pick<Metrics, 'pollFault'>,
  faults: FaultLines,
): WiredPolls {
  const closing = new AbortController()
  const keys = createKeySets({
    fetch: createFetchJwks(),
    clock: systemClock,
    onFault: (about, fault) =>
      faults.report({ message: 'the keys of a signal stream could not be fetched', about, fault }),
  })
  const tokens = createTransmitterTokens(sendOutbound, systemClock)
  const client = createTransmitterClient(sendOutbound, tokens)
  const polling = {
    queue: createPollQueue(db),
    poll: createPollStream({
      send: sendOutbound,
      tokens,
      store: createSignalStore(db),
      keys,
      clock: systemClock,
    }),
    openSecret: openPollSecret(sealing),
    onFault: (about: string, fault: string) => {
      metrics.pollFault()
      faults.report({ message: 'a signal stream could not be fetched', about, fault })
    },
  }
  const checking = {
    client,
    queue: createCheckQueue(db),
    questions: createQuestions(db),
    openSecret: openManagementSecret(sealing),
    onFault: (about: string, fault: string) =>
      faults.report({ message: 'the transmitter of a signal stream could not be asked', about, fault }),
  }
  const underWay = new Set<DueCheck>()
  let standings: ReadonlyMap<string, number> = new Map()
  const onFault = (error: unknown): void =>
    faults.report({ message: 'signal streams could not be read', fault: faultText(error) })
  const stops = [
    every(LOOK_MILLISECONDS, ROUNDS_MAX, () => pollDue(polling, closing.signal), onFault),
    every(CHECK_MILLISECONDS, ROUNDS_MAX, () => checkDue(checking, underWay), onFault),
    every(
      COUNT_MILLISECONDS,
      1,
      async () => {
        standings = await countStandings(db)
      },
      onFault,
    ),
  ]
  return {
    client,
    standings: () => standings,
    close: async () => {
      closing.abort()
      keys.close()
      await Promise.all(stops.map((stop) => stop()))
    },
  }
}

/** Does `work` again and again, at most `atOnce` times at once; gives what ends it and waits for what is under way. */
function every(
  milliseconds: number,
  atOnce: number,
  work: () => Promise<unknown>,
  onFault: (error: unknown) => void,
): () => Promise<void> {
  const underWay = new Set<Promise<unknown>>()
  const timer = setInterval(() => {
    if (underWay.size >= atOnce) return
    const round: Promise<unknown> = work()
      .catch(onFault)
      .finally(() => underWay.delete(round))
    underWay.add(round)
  }, milliseconds)
  return async () => {
    clearInterval(timer)
    await Promise.all(underWay)
  }
}
