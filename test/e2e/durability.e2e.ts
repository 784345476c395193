import { afterAll, beforeAll, expect, test } from 'vitest'
import { addGateway, TENANT, textOf } from './demo.ts'
import { send } from './http.ts'
import type { TestIssuer } from './issuer.ts'
import { until } from './ports.ts'
import { startDemo } from './prepared.ts'
import type { Warder } from './warder.ts'

const CLIENTS = 8
/** So many must be answered before a crash, whatever the machine has to do beside. */
const ANSWERS_MIN = 300
const ROWS_MAX = '100000'

let warder: Warder
let issuer: TestIssuer
let key = ''
const opened: Warder[] = []

beforeAll(async () => {
  ;({ warder, issuer } = await startDemo())
  opened.push(warder)
  key = await addGateway(warder, 'edge')
})

afterAll(async () => {
  for (const each of opened) await each.remove()
})

/** Asks without a pause until the server is gone; gives the ids of all decisions that were answered. */
async function askUntilGone(token: string, onAnswer: (id: string) => void): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      const { headers } = await send(warder.decisionPort, {
        path: '/forward-auth',
        headers: {
          authorization: `Bearer ${token}`,
          'x-warder-gateway-key': key,
          'x-forwarded-method': i % 3 === 0 ? 'DELETE' : 'GET',
          'x-forwarded-uri': `/repos/${i}`,
        },
      })
      onAnswer(headers['x-decision-id'] ?? 'no decision id')
    } catch {
      return
    }
  }
}

async function answersUntilKilled(kill: () => Promise<void>): Promise<readonly string[]> {
  const token = await issuer.token('triage-bot', 'alice')
  const ids: string[] = []
  const clients = Promise.all(
    Array.from({ length: CLIENTS }, () => askUntilGone(token, (id) => void ids.push(id))),
  )
  await until('enough is answered', 60_000, () => ids.length > ANSWERS_MIN)
  await kill()
  await clients
  return ids
}

async function loggedIds(): Promise<ReadonlySet<string>> {
  const rows = await warder.json('logs', 'query', '--tenant', TENANT, '--limit', ROWS_MAX)
  if (!Array.isArray(rows)) throw new Error('`logs query --json` prints no list')
  return new Set(rows.map((row: unknown) => textOf(row, 'decision_id')))
}

async function expectAllLogged(ids: readonly string[]): Promise<void> {
  expect(ids.length).toBeGreaterThan(ANSWERS_MIN)
  const logged = await loggedIds()
  expect(ids.filter((id) => !logged.has(id))).toEqual([])
  // The newest answers are the ones that a crash could have taken.
  for (const id of ids.slice(-3)) {
    expect(await warder.json('logs', 'show', id)).toMatchObject({ decision_id: id, tenant: TENANT })
  }
}

test('a killed server and database lose no decision that was answered', async () => {
  const ids = await answersUntilKilled(() => warder.killEverything())
  await warder.start()
  await expectAllLogged(ids)
})

test('a killed server loses no decision that was answered', async () => {
  const ids = await answersUntilKilled(() => warder.kill())
  await warder.start()
  await expectAllLogged(ids)
})

test('after the crashes the hash chains of the log are whole', async () => {
  expect(await warder.cli('logs', 'query', '--tenant', TENANT, '--limit', '1', '--json')).toContain('hash')
  const rows = await warder.json('logs', 'query', '--limit', ROWS_MAX)
  if (!Array.isArray(rows)) throw new Error('`logs query --json` prints no list')
  const hashes = new Set(rows.map((row: unknown) => textOf(row, 'hash')))
  const firsts = rows.filter((row: unknown) => !hashes.has(textOf(row, 'previous_hash')))
  const writers = new Set(rows.map((row: unknown) => textOf(row, 'writer')))
  // Each process that wrote has one chain, which begins with the one row that has no predecessor.
  expect(firsts.length).toBe(writers.size)
})

test('SIGTERM ends the server cleanly and leaves no process behind', async () => {
  expect(await warder.stop()).toBe(0)
  expect(warder.databaseIsRunning()).toBe(false)
  await warder.start()
})
