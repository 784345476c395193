import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setAgentStatus } from '../demo.ts'
import { send } from '../http.ts'
import { until } from '../ports.ts'
import { copyFolder } from '../warder.ts'
import { figure, openStage, type Stage } from './stage.ts'

const ACKNOWLEDGED_WITHIN_MILLISECONDS = 5_000

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage.warder.remove())

async function readiness(): Promise<{ readonly status: number; readonly backup: unknown }> {
  const { status, body } = await send(stage.warder.adminPort, { path: '/readyz' })
  const { checks } = parseReadiness(body)
  return { status, backup: checks.find(({ name }) => name === 'backup')?.ok }
}

function parseReadiness(body: string) {
  return JSON.parse(body) as { readonly checks: readonly { readonly name: string; readonly ok: boolean }[] }
}

test('a restored backup denies everything, also after a restart, until it is acknowledged', async () => {
  const { warder } = stage
  const data = join(warder.dataDir, 'postgres')
  const copy = join(warder.dataDir, 'backup')
  const kind = async () => (await stage.ask()).kind
  expect(await warder.stop()).toBe(0)
  await copyFolder(data, copy)
  await warder.start()
  await setAgentStatus(warder, 'triage-bot', 'suspended')
  await until('the agent is suspended', 5_000, async () => (await kind()) === 'agent.suspended')
  expect(await warder.stop()).toBe(0)

  // What `pg_restore` or a snapshot would do: the suspension is gone from the database.
  rmSync(data, { recursive: true })
  await copyFolder(copy, data)
  for (const _ of ['first', 'second']) {
    await warder.startUnready()
    await until('it denies', 10_000, async () => (await kind()) === 'state.rolled_back')
    expect(await readiness()).toEqual({ status: 503, backup: false })
    await warder.stop()
  }

  await warder.startUnready()
  expect(await warder.json('state', 'acknowledge')).toMatchObject({ acknowledged: true })
  const acknowledgedAt = performance.now()
  await until('it decides again', ACKNOWLEDGED_WITHIN_MILLISECONDS, async () => (await kind()) === 'allow')
  figure('restore', { acknowledged: Math.round(performance.now() - acknowledgedAt) })
  expect(await readiness()).toEqual({ status: 200, backup: true })
  expect(await warder.json('state', 'acknowledge')).toMatchObject({ acknowledged: false })
  expect(await warder.cli('audit', 'query')).toMatch(/warder state acknowledge .*state +changed/)
  expect(await warder.stop()).toBe(0)
  await warder.start()
  expect(await kind()).toBe('allow')
})
