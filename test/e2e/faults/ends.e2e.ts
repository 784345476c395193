import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../ports.ts'
import { countKinds, type Fleet, startFleet } from './fleet.ts'
import { figure, loggedDecisions, notLoggedOnce, openStage, type Stage } from './stage.ts'

const GRACE_SECONDS = 5
const ALLOWED_MIN = 500

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ WARDER_SHUTDOWN_GRACE_SECONDS: `${GRACE_SECONDS}` })
})

afterAll(() => stage.warder.remove())

function startClients(): Fleet {
  const { warder, question } = stage
  return startFleet({ ports: () => [warder.decisionPort], question, clients: 32, onError: 'end' })
}

/** Whatever the machine has to do beside, the clients must be busy when the end comes. */
async function untilAnswered({ outcomes }: Fleet): Promise<void> {
  await until('clients are answered', 60_000, () => allowed(outcomes) > ALLOWED_MIN)
}

function allowed(outcomes: Fleet['outcomes']): number {
  return outcomes.filter(({ kind }) => kind === 'allow').length
}

test('SIGTERM under load: every answer has its row, every row had its caller, and the end is quick', async () => {
  const fleet = startClients()
  await untilAnswered(fleet)
  const signalledAt = performance.now()
  const code = await stage.warder.stop()
  const drained = performance.now() - signalledAt
  const endedAt = performance.now()
  await fleet.stop()
  const { outcomes } = fleet
  await stage.warder.start()
  const logged = await loggedDecisions(stage.warder)
  const answered = new Set(outcomes.map(({ decisionId }) => decisionId))
  figure('sigterm', { ...countKinds(outcomes), drained: Math.round(drained), rows: logged.length })
  expect(code).toBe(0)
  expect(drained).toBeLessThan(GRACE_SECONDS * 1000 + 2_000)
  expect(allowed(outcomes)).toBeGreaterThan(ALLOWED_MIN)
  expect(notLoggedOnce(outcomes, logged)).toEqual([])
  expect(logged.filter(({ id }) => !answered.has(id))).toEqual([])
  // Answers that were under way in the socket may be read a moment later.
  expect(outcomes.filter(({ kind, at }) => !kind.startsWith('error:') && at > endedAt + 1_000)).toEqual([])
})

test('kill -9 under load: every answer has its row', async () => {
  const fleet = startClients()
  await untilAnswered(fleet)
  await stage.warder.kill()
  await fleet.stop()
  const startedAt = performance.now()
  await stage.warder.start()
  const logged = await loggedDecisions(stage.warder)
  figure('kill-9', { ...countKinds(fleet.outcomes), restart: Math.round(performance.now() - startedAt) })
  expect(allowed(fleet.outcomes)).toBeGreaterThan(ALLOWED_MIN)
  expect(notLoggedOnce(fleet.outcomes, logged)).toEqual([])
})

test('a signal that comes twice at once, as Ctrl-C does under npm, drains like one', async () => {
  const pid = stage.warder.pid()
  process.kill(pid, 'SIGINT')
  process.kill(pid, 'SIGINT')
  expect(await stage.warder.stop()).toBe(0)
  expect(stage.warder.databaseIsRunning()).toBe(false)
})
