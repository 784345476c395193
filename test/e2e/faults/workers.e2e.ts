import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setAgentStatus } from '../demo.ts'
import { send } from '../http.ts'
import { until } from '../ports.ts'
import { countKinds, kindsOf, startFleet } from './fleet.ts'
import { figure, loggedDecisions, notLoggedOnce, openStage, type Stage } from './stage.ts'

const WORKERS = 2

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ WARDER_WORKERS: `${WORKERS}` })
})

afterAll(() => stage.warder.remove())

/** The processes that decide: children of the one that was started, the database's left out. */
function fronts(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, parent = ''] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
        return (
          Number(parent) === stage.warder.pid() &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.ts')
        )
      } catch {
        return false
      }
    })
}

/** How many processes decided something, as the metrics of the whole server tell it. */
async function decidedBy(): Promise<ReadonlySet<string>> {
  const { body } = await send(stage.warder.adminPort, { path: '/metrics' })
  const lines = body.split('\n').filter((line) => line.startsWith('warder_decisions_total{'))
  return new Set(lines.map((line) => /worker="([^"]*)"/.exec(line)?.[1] ?? ''))
}

async function workersCheck(): Promise<string> {
  return (await send(stage.warder.adminPort, { path: '/readyz' })).body
}

const load = (clients = 16) =>
  startFleet({
    ports: () => [stage.warder.decisionPort],
    question: stage.question,
    clients,
    onError: 'go on',
  })

test('all processes answer on the same port, and the metrics name each', async () => {
  const fleet = load()
  await sleep(1_000)
  await fleet.stop()
  expect(fronts()).toHaveLength(WORKERS)
  expect([...kindsOf(fleet.outcomes)]).toEqual(['allow'])
  expect(await decidedBy()).toEqual(new Set(['1', '2']))
  expect(await workersCheck()).toContain(`${WORKERS} of ${WORKERS} processes decide`)
})

test('a suspension reaches every process within a second', async () => {
  const ask = async (): Promise<readonly string[]> => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => stage.ask()))
    return answers.map(({ kind }) => kind)
  }
  await setAgentStatus(stage.warder, 'triage-bot', 'suspended')
  const reached = await until('all deny', 1_000, async () =>
    (await ask()).every((kind) => kind === 'agent.suspended'),
  )
  figure('workers-suspension', { reached: Math.round(reached) })
  await setAgentStatus(stage.warder, 'triage-bot', 'active')
  await until('all allow', 1_000, async () => (await ask()).every((kind) => kind === 'allow'))
})

test('SIGUSR2 replaces every process without a lost request', async () => {
  const before = fronts()
  const fleet = load()
  await sleep(500)
  process.kill(stage.warder.pid(), 'SIGUSR2')
  await until('all are new', 60_000, async () => {
    const now = fronts()
    return now.length === WORKERS && now.every((pid) => !before.includes(pid))
  })
  await sleep(500)
  await fleet.stop()
  const logged = await loggedDecisions(stage.warder)
  figure('workers-restart', countKinds(fleet.outcomes))
  expect([...kindsOf(fleet.outcomes)]).toEqual(['allow'])
  expect(fleet.outcomes.length).toBeGreaterThan(100)
  expect(notLoggedOnce(fleet.outcomes, logged)).toEqual([])
}, 120_000)

test('kill -9 of one process: the other goes on, it is replaced, and every answer has its row', async () => {
  const [victim] = fronts()
  if (victim === undefined) throw new Error('no process decides')
  const fleet = load()
  await sleep(500)
  process.kill(victim, 'SIGKILL')
  await until('it is replaced', 60_000, async () => {
    const now = fronts()
    return (
      now.length === WORKERS &&
      !now.includes(victim) &&
      (await workersCheck()).includes(`${WORKERS} of ${WORKERS}`)
    )
  })
  await fleet.stop()
  const logged = await loggedDecisions(stage.warder)
  const kinds = countKinds(fleet.outcomes)
  figure('workers-kill-9', kinds)
  // What was under way in the dead process has no answer; nothing else fails.
  const failed = fleet.outcomes.filter(({ kind }) => kind !== 'allow')
  expect(failed.every(({ kind }) => kind.startsWith('error:'))).toBe(true)
  expect(failed.length).toBeLessThanOrEqual(16)
  expect(notLoggedOnce(fleet.outcomes, logged)).toEqual([])
})

test('kill -9 of the keeper: nobody stays behind and goes on deciding', async () => {
  const left = fronts()
  await stage.warder.kill()
  await until('all have ended', 15_000, async () => left.every((pid) => !isRunning(pid)))
  await expect(stage.ask()).resolves.toMatchObject({ kind: 'error:ECONNREFUSED' })
  await stage.warder.start()
  expect(await stage.ask()).toMatchObject({ kind: 'allow' })
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
