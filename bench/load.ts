import { connect, type Socket } from 'node:net'
import { percentile } from './statistics.ts'

/** Where load goes and what it is. */
export interface LoadTarget {
  readonly port: number
  readonly path: string
  readonly key: string
  /** JSON body of the request with this number, counted from 0. */
  readonly body: (number: number) => string
}

/** What came back. */
export interface LoadResult {
  readonly answers: number
  /** Answers that were no decision by policy: another status, a reset connection, no answer at the end. */
  readonly failed: number
  readonly seconds: number
  /** From the instant at which the request was due, waiting for a free connection included. */
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
}

const CONNECTIONS = 32
/** How long answers may come after the last request. */
const LINGER_MILLISECONDS = 3_000

/** Keeps every connection busy for so long: the rate that comes out is the capacity. */
export async function closedLoop(target: LoadTarget, milliseconds: number): Promise<LoadResult> {
  const load = await openLoad(target)
  const until = performance.now() + milliseconds
  load.onFree = () => {
    if (performance.now() < until) load.send(performance.now())
  }
  for (let i = 0; i < CONNECTIONS; i += 1) load.send(performance.now())
  return await load.finish(milliseconds)
}

/** Requests that arrive at random (Poisson) at `perSecond`, whether or not earlier ones were answered. */
export async function openLoop(
  target: LoadTarget,
  perSecond: number,
  milliseconds: number,
): Promise<LoadResult> {
  const load = await openLoad(target)
  const startedAt = performance.now()
  const until = startedAt + milliseconds
  let due = startedAt
  const tick = (): void => {
    for (const now = performance.now(); due <= now && due < until; ) {
      load.send(due)
      due += (-Math.log(1 - Math.random()) * 1000) / perSecond
    }
    if (due < until) setImmediate(tick)
  }
  tick()
  return await load.finish(milliseconds)
}

interface Connection {
  readonly socket: Socket
  /** When its request was due; undefined while it is free. */
  due: number | undefined
  received: string
}

interface Load {
  onFree: () => void
  /** Sends the next request, at once or when a connection is free. */
  send(due: number): void
  finish(milliseconds: number): Promise<LoadResult>
}

async function openLoad(target: LoadTarget): Promise<Load> {
  const latencies: number[] = []
  const waiting: number[] = []
  const free: Connection[] = []
  let next = 0
  let asked = 0
  let failed = 0
  const startedAt = performance.now()
  let lastAnswerAt = startedAt
  const assign = (connection: Connection, due: number): void => {
    connection.due = due
    connection.socket.write(encode(target, target.body(next)))
    next += 1
  }
  const release = (connection: Connection): void => {
    connection.due = undefined
    const due = waiting.shift()
    if (due === undefined) free.push(connection)
    else assign(connection, due)
    load.onFree()
  }
  const onData = (connection: Connection, chunk: string): void => {
    connection.received += chunk
    const answer = takeAnswer(connection)
    if (answer === undefined || connection.due === undefined) return
    lastAnswerAt = performance.now()
    latencies.push(lastAnswerAt - connection.due)
    if (!isDecision(answer)) failed += 1
    release(connection)
  }
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(target.port, onData)))
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
      while (latencies.length < asked && performance.now() < until) await pause(5)
      for (const { socket } of connections) socket.destroy()
      const sorted = latencies.toSorted((a, b) => a - b)
      return {
        answers: latencies.length,
        failed: failed + asked - latencies.length,
        seconds: (lastAnswerAt - startedAt) / 1000,
        p50Milliseconds: percentile(sorted, 0.5),
        p99Milliseconds: percentile(sorted, 0.99),
      }
    },
  }
  return load
}

function open(port: number, onData: (connection: Connection, chunk: string) => void): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const connection: Connection = { socket, due: undefined, received: '' }
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => onData(connection, chunk))
    socket.once('connect', () => resolve(connection))
    // A connection that breaks answers nothing more: its request counts as failed at the end.
    socket.on('error', reject)
  })
}

function encode({ path, key }: LoadTarget, body: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** The whole answer that was received, taken away; undefined while a part is missing. */
function takeAnswer(connection: Connection): string | undefined {
  const { received } = connection
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1])
  if (received.length < end + 4 + length) return undefined
  connection.received = ''
  return received
}

/** An allow or a deny; a deny must come from the policies and from nothing else. */
function isDecision(answer: string): boolean {
  if (!answer.startsWith('HTTP/1.1 200 ')) return false
  if (answer.includes('"decision":true') || answer.includes('"decision":"allow"')) return true
  return answer.includes('"decision":false') || answer.includes('"code":"policy.no_permit"')
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
