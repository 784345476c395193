import { afterAll, beforeAll, expect, test } from 'vitest'
import { seedDemo } from '#admin/seed-demo.ts'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import { createLogWriter, type LogWriter } from '#decision-log/writer.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import type { Decider } from '#model/decider.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { createAppendRows } from '#store/decisions.ts'
import { loadTenant } from '#store/tenant-loader.ts'
import { nativeRequest } from '../support/ask.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
const DEMO = 'demo' as TenantId
const gateway: Gateway = {
  id: '01930000-0000-7000-8000-000000000001' as GatewayId,
  name: 'test',
  tenant: DEMO,
  asserts: undefined,
  userOnly: false,
  obligations: undefined,
}
let db: Database
let writer: LogWriter
let decider: Decider

/** Decides on the database's present state. */
async function decideNow(): Promise<void> {
  const state = await loadTenant(db.sql, DEMO, undefined, { assembleRelease, applyEntities, emptyRegistry })
  decider = createDecider({
    clock: systemClock,
    state: {
      tenant: (id) => (id === DEMO ? state : undefined),
      gatewayByKeyHash: () => undefined,
      refreshedAt: systemClock(),
      ageMilliseconds: () => 0,
      rolledBack: () => undefined,
    },
    freshnessMillisecondsMax: 10_000,
    verify: createVerify({
      keys: createKeySets({
        clock: systemClock,
        fetch: () => Promise.reject(new Error('none')),
        onFault: () => undefined,
      }),
    }),
    judgePolicy: createJudgePolicy(createEvaluate(createEngine())),
    mask: createMask(new Uint8Array(32)),
    log: writer,
    onFault: (fault) => {
      throw fault
    },
  })
}

const ask = async (tool: string, more: object = {}) =>
  await decider.decide(
    nativeRequest({ agent: { id: 'planner' }, user: { id: 'ada' }, tool, ...more }),
    gateway,
  )

beforeAll(async () => {
  db = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  await seedDemo(createAdminStore(db), folder.path)
  writer = createLogWriter({
    append: createAppendRows(db),
    mode: 'require',
    overflow: 'deny',
    queueMax: 100,
    writer: 'replayed',
    onFault: () => undefined,
  })
  await decideNow()
})
afterAll(async () => {
  await writer.close(1_000)
  await db.close()
  folder.remove()
})

test('decisions come out the same after everything they were made on has changed', async () => {
  const store = createAdminStore(db)
  const tools = (await store.listEntities(DEMO, 'Warder::Tool', { limit: 100 })).map(({ uid }) => uid)
  const agents = await store.listEntities(DEMO, 'Warder::Agent', { limit: 100 })
  const users = await store.listEntities(DEMO, 'Warder::User', { limit: 100 })
  for (const { id } of tools)
    for (const agent of agents)
      for (const user of users) await ask(id, { agent: { id: agent.uid.id }, user: { id: user.uid.id } })
  await ask('no/such-tool')
  const effects = await db.sql<
    { decision: string }[]
  >`select distinct decision from decisions order by decision`
  expect(effects.map(({ decision }) => decision)).toEqual(['allow', 'deny'])

  await store.removeEntities(DEMO, [...tools, ...agents.map(({ uid }) => uid)])
  const replayed = await run(['logs', 'replay', '--since', '2020-01-01', '--limit', '1000', '--json'])
  expect(replayed.stderr).toBe('')
  const outcomes = replayed.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(outcomes).toHaveLength(tools.length * agents.length * users.length + 1)
  expect(outcomes.filter(({ outcome }) => outcome !== 'same')).toEqual([])
  expect(replayed.exit).toBe(0)
  const rows = await db.sql<{ n: number }[]>`select count(*)::int as n from decisions`
  expect(rows[0]?.n).toBe(outcomes.length)
})

test('a row that was changed comes out differently, one without its facts says why', async () => {
  const { id } = await ask('mail/send', { arguments: { password: 'hunter2' } })
  const masked = await run(['logs', 'replay', id, '--json'])
  expect(JSON.parse(masked.stdout)).toEqual({
    decision_id: id,
    outcome: 'not_replayable',
    why: 'the row does not hold everything that decided it',
  })
  await db.owner`alter table decisions disable trigger user`
  await db.owner`update decisions set decision = case decision when 'allow' then 'deny' else 'allow' end
    where trace->>'replayable' = 'true'`
  const changed = await run(['logs', 'replay', '--limit', '1000'])
  expect(changed.exit).toBe(1)
  expect(changed.stderr).toContain('decisions come out differently now [log.replay_differs]')
  expect(changed.stdout).toContain('decision: "allow" is now "deny"')
  expect((await run(['logs', 'replay', 'nothing'])).exit).toBe(3)
})
