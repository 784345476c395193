import { getPriority, setPriority } from 'node:os'
import { createAlarm } from './alarm.ts'
import { percentile } from './statistics.ts'
import type { OpenWire, Wire } from './wire.ts'

/** Where load goes and what it is. */
export interface LoadTarget {
  readonly open: OpenWire
  /** Body of the request with this number, counted from 0. */
  readonly body: (number: number) => string
}

/** Requests that got no decision by policy, by what became of them. */
export interface Failures {
  /** Not answered when the waiting at the end was over. */
  readonly late: number
  /** Denied with `log.unavailable`: the log took no more rows in time. */
  readonly unavailable: number
  /** Lost with their connection. */
  readonly transport: number
  /** Answered with something else: another status, another reason. */
  readonly other: number
}

/** What came back. */
export interface LoadResult {
  readonly answers: number
  /** The sum of `failures`. */
  readonly failed: number
  readonly failures: Failures
  readonly seconds: number
  /** From the instant at which the request was due, waiting for a free connection included. */
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  readonly p999Milliseconds: number
}

const CONNECTIONS = 32
const HIGHEST_PRIORITY = -20
/** How long answers may come after the last request. */
const LINGER_MILLISECONDS = 3_000

/** Keeps every connection busy for so long: the rate that comes out is the capacity. */
export async function closedLoop(target: LoadTarget, milliseconds: number): Promise<LoadResult> {
  const goBack = goFirst()
  const load = await openLoad(target)
  const until = performance.now() + milliseconds
  load.onFree = () => {
    if (performance.now() < until) load.send(performance.now())
  }
  for (let i = 0; i < CONNECTIONS; i += 1) load.send(performance.now())
  return await load.finish(milliseconds).finally(goBack)
}

/** Requests that arrive at random (Poisson) at `perSecond`, whether or not earlier ones were answered. */
export async function openLoop(
  target: LoadTarget,
  perSecond: number,
  milliseconds: number,
): Promise<LoadResult> {
  const goBack = goFirst()
  const alarm = await createAlarm()
  try {
    const load = await openLoad(target)
    const startedAt = performance.now()
    const sendDue = async (): Promise<void> => {
      let due = startedAt
      while (due < startedAt + milliseconds) {
        await alarm.at(due)
        for (const now = performance.now(); due <= now; ) {
          load.send(due)
          due += (-Math.log(1 - Math.random()) * 1000) / perSecond
        }
      }
    }
    const [result] = await Promise.all([load.finish(milliseconds), sendDue()])
    return result
  } finally {
    alarm.close()
    goBack()
  }
}

interface Connection {
  readonly wire: Wire
  /** When its request was due; undefined while it is free. */
  due: number | undefined
}

interface Load {
  onFree: () => void
  /** Sends the next request, at once or when a connection is free. */
  send(due: number): void
  finish(milliseconds: number): Promise<LoadResult>
}

async function openLoad({ open, body }: LoadTarget): Promise<Load> {
  const latencies: number[] = []
  const waiting: number[] = []
  const free: Connection[] = []
  const failures = { late: 0, unavailable: 0, transport: 0, other: 0 }
  let next = 0
  let asked = 0
  const startedAt = performance.now()
  let lastAnswerAt = startedAt
  const assign = (connection: Connection, due: number): void => {
    connection.due = due
    connection.wire.send(body(next))
    next += 1
  }
  const release = (connection: Connection): void => {
    connection.due = undefined
    const due = waiting.shift()
    if (due === undefined) free.push(connection)
    else assign(connection, due)
    load.onFree()
  }
  const connect = async (): Promise<Connection> => {
    const wire = await open(
      (verdict) => {
        if (connection.due === undefined) return
        lastAnswerAt = performance.now()
        latencies.push(lastAnswerAt - connection.due)
        if (verdict === 'unavailable' || verdict === 'other') failures[verdict] += 1
        release(connection)
      },
      () => {
        if (connection.due === undefined) free.splice(free.indexOf(connection), 1)
        else failures.transport += 1
        connection.due = undefined
      },
    )
    const connection: Connection = { wire, due: undefined }
    return connection
  }
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, connect))
  free.push(...connections)
  const load: Load = {
    onFree: () => undefined,
    send: (due) => {
      asked += 1
      const connection = free.pop()
      if (connection === undefined) waiting.push(due)
      else assign(connection, due)
    },
    finish: async (milliseconds) => {
      await pause(milliseconds)
      const until = performance.now() + LINGER_MILLISECONDS
      const unanswered = (): number => asked - latencies.length - failures.transport
      while (unanswered() > 0 && performance.now() < until) await pause(5)
      failures.late = unanswered()
      for (const { wire } of connections) wire.close()
      const sorted = latencies.toSorted((a, b) => a - b)
      return {
        answers: latencies.length,
        failed: failures.late + failures.unavailable + failures.transport + failures.other,
        failures,
        seconds: (lastAnswerAt - startedAt) / 1000,
        p50Milliseconds: percentile(sorted, 0.5),
        p99Milliseconds: percentile(sorted, 0.99),
        p999Milliseconds: percentile(sorted, 0.999),
      }
    },
  }
  return load
}

/**
 * Postgres shares the generator's core. What the generator waits for its turn would look like latency of the server, so it goes
 * first, and sleeps between its looks so that Postgres has its turn. Only root may raise a priority.
 */
function goFirst(): () => void {
  if (process.getuid?.() !== 0) return () => undefined
  const before = getPriority()
  setPriority(HIGHEST_PRIORITY)
  return () => setPriority(before)
}

/** What became of requests without a decision, added up. */
export function describeFailures(failures: readonly Failures[]): string {
  const sum = (pick: (one: Failures) => number): number =>
    failures.reduce((total, one) => total + pick(one), 0)
  return [
    `${sum(({ late }) => late)} late`,
    `${sum(({ unavailable }) => unavailable)} \`log.unavailable\``,
    `${sum(({ transport }) => transport)} lost with a connection`,
    `${sum(({ other }) => other)} with another answer`,
  ].join(', ')
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
