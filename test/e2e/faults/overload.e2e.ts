import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { send } from '../http.ts'
import { until } from '../ports.ts'
import { countKinds, type Fleet, kindsOf, type Outcome, startFleet } from './fleet.ts'
import { figure, loggedDecisions, memoryOf, notLoggedOnce, openStage, type Stage } from './stage.ts'

/** One gateway may use half of it. */
const IN_FLIGHT_MAX = 200
const OVERLOAD_CLIENTS = (IN_FLIGHT_MAX / 2) * 3
const NORMAL_WITHIN_MILLISECONDS = 5_000
const SLOW_CLIENTS = 500
/** The bound of a listener is 10,000; the drill leaves room for those who ask. */
const IDLE_CONNECTIONS = 9_900
const MEMORY_GROWTH_MEGABYTES_MAX = 512

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ WARDER_REQUESTS_IN_FLIGHT_MAX: `${IN_FLIGHT_MAX}` })
})

afterAll(() => stage.warder.remove())

function startClients(clients: number): Fleet {
  const { warder, question } = stage
  return startFleet({ ports: () => [warder.decisionPort], question, clients, onError: 'go on' })
}

function median(outcomes: readonly Outcome[]): number {
  const sorted = outcomes.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b)
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) * 10) / 10
}

/** Half a second of eight clients. */
async function sample(): Promise<readonly Outcome[]> {
  const fleet = startClients(8)
  await sleep(500)
  await fleet.stop()
  return fleet.outcomes
}

async function openSockets(count: number, greeting: string): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  for (let opened = 0; opened < count; opened += 250) {
    const some = Array.from({ length: Math.min(250, count - opened) }, () => openSocket(greeting))
    sockets.push(...(await Promise.all(some)))
  }
  return sockets
}

/** Connects, says `greeting` and never more. A refused connection counts as one that is closed. */
function openSocket(greeting: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port: stage.warder.decisionPort })
    socket.on('error', () => resolve(socket))
    socket.once('connect', () => {
      socket.write(greeting)
      if (!greeting.endsWith('\r\n\r\n')) resolve(socket)
    })
    // The answer to a whole request; then the connection is idle.
    socket.once('data', () => resolve(socket))
    socket.resume()
  })
}

function closeAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy()
}

test('three times more clients than there is room for get decisions or a refusal with a code', async () => {
  const { warder } = stage
  const before = { median: median(await sample()), memory: memoryOf(warder.pid()).now }
  const fleet = startClients(OVERLOAD_CLIENTS)
  await sleep(5_000)
  await fleet.stop()
  const stoppedAt = performance.now()
  const { outcomes } = fleet
  let after: readonly Outcome[] = []
  await until('every answer is a decision again', NORMAL_WITHIN_MILLISECONDS, async () => {
    after = await sample()
    return after.every(({ kind }) => kind === 'allow')
  })
  const memory = memoryOf(warder.pid())
  figure('overload', {
    clients: OVERLOAD_CLIENTS,
    ...countKinds(outcomes),
    medianBefore: before.median,
    medianUnder: median(outcomes.filter(({ kind }) => kind === 'allow')),
    medianAfter: median(after),
    normal: Math.round(performance.now() - stoppedAt),
    memoryBefore: before.memory,
    memoryPeak: memory.peak,
  })
  expect(kindsOf(outcomes)).toEqual(new Set(['allow', 'http.overloaded']))
  expect(memory.peak - before.memory).toBeLessThan(MEMORY_GROWTH_MEGABYTES_MAX)
  expect(notLoggedOnce(outcomes, await loggedDecisions(warder))).toEqual([])
})

test('clients that send a request byte by byte hold nobody up and are cut', async () => {
  const { key } = stage.question()
  const head = `POST /v1/decide HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\n`
  const slow = await openSockets(
    SLOW_CLIENTS,
    `${head}Content-Type: application/json\r\nContent-Length: 99\r\nX: `,
  )
  const outcomes = await sample()
  const cut = await until('the slow are cut', 15_000, () => slow.every(({ closed }) => closed))
  figure('slow-clients', {
    clients: SLOW_CLIENTS,
    ...countKinds(outcomes),
    median: median(outcomes),
    cut: Math.round(cut),
  })
  closeAll(slow)
  expect(kindsOf(outcomes)).toEqual(new Set(['allow']))
})

test('a gateway whose bodies never come keeps half of the room free for others', async () => {
  const { key } = stage.question()
  const head = `POST /v1/decide HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`
  const slow = await openSockets(IN_FLIGHT_MAX, `${head}Content-Length: 99\r\n\r\n{`)
  await until('its share is used up', 5_000, async () => (await stage.ask()).kind === 'http.overloaded')
  const added = await stage.warder.json('gateway', 'add', 'other', '--tenant', 'demo', '--assert', 'identity')
  const other = { ...stage.question(), key: String(Reflect.get(Object(added), 'key')) }
  await until('the other gateway is known', 5_000, async () => (await stage.ask(other)).kind === 'allow')
  await until('the bodies are given up', 20_000, async () => (await stage.ask()).kind === 'allow')
  closeAll(slow)
})

test(`${IDLE_CONNECTIONS} idle connections cost memory only`, async () => {
  const { warder } = stage
  const before = memoryOf(warder.pid()).now
  const idle = await openSockets(IDLE_CONNECTIONS, 'GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n')
  const open = idle.filter(({ closed, destroyed }) => !closed && !destroyed).length
  const outcomes = await sample()
  const memory = memoryOf(warder.pid()).now
  figure('idle-connections', {
    open,
    ...countKinds(outcomes),
    median: median(outcomes),
    memoryBefore: before,
    memory,
  })
  expect(open).toBe(IDLE_CONNECTIONS)
  expect(kindsOf(outcomes)).toEqual(new Set(['allow']))
  expect(memory - before).toBeLessThan(MEMORY_GROWTH_MEGABYTES_MAX)
  expect((await send(warder.adminPort, { path: '/readyz' })).status).toBe(200)
  closeAll(idle)
})
