import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TENANT } from '../demo.ts'
import { createIssuer, type TestIssuer } from '../issuer.ts'
import { until } from '../ports.ts'
import { figure, LISTING, loggedDecisions, openStage, type Stage } from './stage.ts'

const HOUR_SECONDS = 3_600
const FRESHNESS_SECONDS = 2
const RECOVERED_WITHIN_MILLISECONDS = 5_000

const folder = mkdtempSync(join(tmpdir(), 'warder-clock-'))
const clockFile = join(folder, 'shift')
let stage: Stage
let issuer: TestIssuer

beforeAll(async () => {
  // `buffer`, so that a stale state is the first thing that a server without its database notices.
  stage = await openStage(
    {
      WARDER_TEST_CLOCK: clockFile,
      WARDER_FRESHNESS_SECONDS: `${FRESHNESS_SECONDS}`,
      WARDER_LOG_MODE: 'buffer',
    },
    { nodeArguments: ['--import', './test/e2e/faults/clock-preload.ts'] },
  )
  issuer = await createIssuer()
  const document = join(folder, 'issuer.json')
  writeFileSync(document, JSON.stringify(issuer.document))
  await stage.warder.cli('issuer', 'add', document, '--tenant', TENANT)
})

afterAll(async () => {
  await stage.warder.remove()
  rmSync(folder, { recursive: true })
})

async function shiftClock(seconds: number): Promise<void> {
  writeFileSync(clockFile, `${seconds * 1000}`)
  process.kill(stage.warder.pid(), 'SIGUSR2')
  await sleep(100)
}

/** Asks with a token that was issued when the clock was `seconds` before or after the real time. */
async function kindOf(seconds: number): Promise<string> {
  const iat = Math.floor(Date.now() / 1000) + seconds
  const token = await issuer.token('triage-bot', 'alice', { iat, exp: iat + 300 })
  return await askWith(token)
}

async function askWith(token: string): Promise<string> {
  const { key } = stage.question()
  const credentials = { access_token: token }
  return (await stage.ask({ key, body: { ...LISTING, credentials } })).kind
}

async function untilAllowed(seconds: number): Promise<number> {
  return await until('a decision is allowed', RECOVERED_WITHIN_MILLISECONDS, async () => {
    return (await kindOf(seconds)) === 'allow'
  })
}

/** From when the database stands still until the first deny, and whether anything was allowed after it. */
async function staleAfter(): Promise<number> {
  const database = stage.warder.databasePids()
  const pausedAt = performance.now()
  for (const pid of database) process.kill(pid, 'SIGSTOP')
  try {
    await until('the state is stale', (FRESHNESS_SECONDS + 1) * 1000, async () => {
      return (await stage.ask()).kind === 'state.stale'
    })
    const after = performance.now() - pausedAt
    for (let i = 0; i < 20; i++) expect((await stage.ask()).kind).toBe('state.stale')
    return after
  } finally {
    for (const pid of database) process.kill(pid, 'SIGCONT')
  }
}

test('a clock that jumps an hour forward expires tokens, and the state is confirmed anew at once', async () => {
  expect(await kindOf(0)).toBe('allow')
  expect(await kindOf(HOUR_SECONDS)).toBe('token.not_yet_valid')
  await shiftClock(HOUR_SECONDS)
  const back = await untilAllowed(HOUR_SECONDS)
  expect(await kindOf(0)).toBe('token.expired')
  figure('clock-forward', { back: Math.round(back), stale: Math.round(await staleAfter()) })
  await untilAllowed(HOUR_SECONDS)
})

test('a clock that is set back two hours makes neither tokens nor the state valid for longer', async () => {
  await shiftClock(-HOUR_SECONDS)
  const back = await untilAllowed(-HOUR_SECONDS)
  expect(await kindOf(0)).toBe('token.not_yet_valid')
  const stale = await staleAfter()
  figure('clock-back', { back: Math.round(back), stale: Math.round(stale) })
  expect(stale).toBeLessThan((FRESHNESS_SECONDS + 1) * 1000)
  await untilAllowed(-HOUR_SECONDS)
})

test('ids carry the time of their decision, and the chain keeps the true order', async () => {
  await shiftClock(0)
  await untilAllowed(0)
  await sleep(500)
  const rows = await loggedDecisions(stage.warder)
  for (const { id, decidedAt } of rows) {
    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(Date.parse(decidedAt))
  }
  const byTime = rows.map(({ id }) => id)
  const inMilliseconds = byTime.map((id) => id.slice(0, 13))
  expect(inMilliseconds).toEqual(inMilliseconds.toSorted().toReversed())
  const sequences = rows.map(({ sequence }) => sequence).toSorted((a, b) => a - b)
  expect(sequences).toEqual(sequences.map((_, i) => (sequences[0] ?? 0) + i))
})
