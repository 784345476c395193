import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../ports.ts'
import { killAll } from '../process.ts'
import { countKinds, type Fleet, startFleet } from './fleet.ts'
import { figure, loggedDecisions, notLoggedOnce, openStage, type Stage } from './stage.ts'

const PAUSE_MILLISECONDS = 5_000
/** The log writer waits for 2 s; the rest is the machine's. */
const ANSWER_WITHIN_MILLISECONDS = 3_000
const BACK_WITHIN_MILLISECONDS = 5_000
const EXPECTED = ['allow', 'log.unavailable']

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage.warder.remove())

function startClients(): Fleet {
  const { warder, question } = stage
  return startFleet({
    ports: () => [warder.decisionPort],
    question,
    clients: 16,
    pauseMilliseconds: 10,
    onError: 'end',
  })
}

async function untilAllowed(since: number): Promise<number> {
  await until('a decision is allowed again', 30_000, async () => (await stage.ask()).kind === 'allow')
  return performance.now() - since
}

async function expectNothingLost(fleet: Fleet): Promise<void> {
  const { outcomes } = fleet
  const unexpected = Object.keys(countKinds(outcomes)).filter((kind) => !EXPECTED.includes(kind))
  expect(unexpected).toEqual([])
  expect(Math.max(...outcomes.map(({ milliseconds }) => milliseconds))).toBeLessThan(
    ANSWER_WITHIN_MILLISECONDS,
  )
  expect(notLoggedOnce(outcomes, await loggedDecisions(stage.warder))).toEqual([])
}

test('while the database stands still for 5 s everything is denied in time, and nothing answered is lost', async () => {
  const fleet = startClients()
  await sleep(1_000)
  const database = stage.warder.databasePids()
  const pausedAt = performance.now()
  for (const pid of database) process.kill(pid, 'SIGSTOP')
  await sleep(PAUSE_MILLISECONDS)
  for (const pid of database) process.kill(pid, 'SIGCONT')
  const resumedAt = performance.now()
  const back = await untilAllowed(resumedAt)
  await sleep(500)
  await fleet.stop()
  const lastAllow = fleet.outcomes.filter(
    ({ kind, at }) => kind === 'allow' && at > pausedAt && at < resumedAt,
  )
  figure('database-pause', {
    ...countKinds(fleet.outcomes),
    slowestAnswer: Math.round(Math.max(...fleet.outcomes.map(({ milliseconds }) => milliseconds))),
    back: Math.round(back),
  })
  // Only what was durable before the pause may still leave.
  expect(lastAllow.filter(({ at }) => at > pausedAt + 1_000)).toEqual([])
  expect(back).toBeLessThan(BACK_WITHIN_MILLISECONDS)
  await expectNothingLost(fleet)
})

test('after kill -9 of the database the server brings it back, and nothing answered is lost', async () => {
  const fleet = startClients()
  await sleep(1_000)
  killAll(stage.warder.databasePids())
  const killedAt = performance.now()
  const back = await untilAllowed(killedAt)
  await sleep(500)
  await fleet.stop()
  figure('database-restart', {
    ...countKinds(fleet.outcomes),
    slowestAnswer: Math.round(Math.max(...fleet.outcomes.map(({ milliseconds }) => milliseconds))),
    back: Math.round(back),
  })
  expect(back).toBeLessThan(BACK_WITHIN_MILLISECONDS)
  await expectNothingLost(fleet)
})
