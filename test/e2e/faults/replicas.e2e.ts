import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPool, type Sql } from '#store/connections.ts'
import { type EmbeddedPostgres, joinEmbeddedPostgres } from '#store/embedded-postgres.ts'
import { pushDemo, setAgentStatus, TENANT } from '../demo.ts'
import { until } from '../ports.ts'
import { startWarder, type Warder } from '../warder.ts'
import { ask, countKinds, kindsOf, startFleet } from './fleet.ts'
import { figure, loggedDecisions, notLoggedOnce, openStage, type Stage } from './stage.ts'

const REACHED_WITHIN_MILLISECONDS = 1_000

const NOTHING_IS_READ = `@id("reading-is-paused")
@reason("Reading is paused.")
forbid (principal, action in Warder::Action::"readTools", resource);
`

const folder = mkdtempSync(join(tmpdir(), 'warder-replicas-'))
chmodSync(folder, 0o755)
const servers: Warder[] = []
let stage: Stage
let database: EmbeddedPostgres
let sql: Sql

beforeAll(async () => {
  stage = await openStage({}, { dataDir: folder })
  servers.push(stage.warder, await startWarder({}, { dataDir: folder }))
  database = await joinEmbeddedPostgres({ dataDir: folder, applicationName: 'drill' })
  const target = { ...database.target, database: 'warder' }
  sql = openPool(target, { applicationName: 'drill', max: 1, statementTimeout: 30_000, role: 'owner' })
})

afterAll(async () => {
  await sql.end({ timeout: 1 })
  await database.leave()
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

function kindsNow(): Promise<readonly string[]> {
  const asked = servers.map(async ({ decisionPort }) => await ask(decisionPort, false, stage.question()))
  return Promise.all(asked).then((outcomes) => outcomes.map(({ kind }) => kind))
}

/** How long after `change` both servers answer with `kind`. */
async function reaches(kind: string, change: () => Promise<unknown>): Promise<number> {
  await change()
  return await until(`both say ${kind}`, REACHED_WITHIN_MILLISECONDS, async () =>
    (await kindsNow()).every((each) => each === kind),
  )
}

test('a revocation and an activation reach both servers within a second', async () => {
  const { warder } = stage
  await until('both allow', 5_000, async () => (await kindsNow()).every((kind) => kind === 'allow'))
  const revoked = await reaches('agent.suspended', () => setAgentStatus(warder, 'triage-bot', 'suspended'))
  const restored = await reaches('allow', () => setAgentStatus(warder, 'triage-bot', 'active'))
  const release = await pushDemo(warder, { 'reading-is-paused.cedar': NOTHING_IS_READ })
  const activated = await reaches('policy.forbid', () =>
    warder.cli('policy', 'activate', release, '--tenant', TENANT),
  )
  await reaches('allow', () => warder.cli('policy', 'rollback', '--tenant', TENANT))
  figure('replicas', {
    revoked: Math.round(revoked),
    restored: Math.round(restored),
    activated: Math.round(activated),
  })
})

test('a migration that only adds, and the change from one server to the other, fail no request', async () => {
  const [older, newer] = servers
  if (older === undefined || newer === undefined) throw new Error('two servers were started')
  await newer.stop()
  const { question } = stage
  let ports = [older.decisionPort]
  const fleet = startFleet({
    ports: () => ports,
    question,
    clients: 16,
    pauseMilliseconds: 5,
    onError: 'ask another',
  })
  await sleep(1_000)
  const migrating = performance.now()
  // What a newer version does when it starts: its own migration first.
  await sql.unsafe('alter table warder.tenants add column drill text')
  await sql.unsafe('create index drill on warder.tenants (drill)')
  const migrated = performance.now() - migrating
  await newer.start()
  ports = [older.decisionPort, newer.decisionPort]
  await sleep(1_500)
  expect(await older.stop()).toBe(0)
  await sleep(1_000)
  await fleet.stop()
  const { outcomes } = fleet
  const logged = await loggedDecisions(newer)
  const writers = new Set(logged.map(({ writer }) => writer))
  figure('rolling-upgrade', {
    ...countKinds(outcomes),
    migrated: Math.round(migrated),
    writers: writers.size,
  })
  expect(kindsOf(outcomes)).toEqual(new Set(['allow']))
  expect(notLoggedOnce(outcomes, logged)).toEqual([])
  expect(writers.size).toBeGreaterThanOrEqual(2)
  await expectWholeChains()
})

/** Every chain begins once and each row names the one before it. */
async function expectWholeChains(): Promise<void> {
  const broken = await sql`
    select writer, sequence from (
      select writer, sequence, previous_hash,
        lag(hash) over (partition by writer order by sequence) as before,
        lag(sequence) over (partition by writer order by sequence) as place
      from warder.decisions) as chain
    where place is not null and (place <> sequence - 1 or previous_hash <> before)`
  expect([...broken]).toEqual([])
}

test('a server goes on with a database that a newer version migrated; one that starts refuses it', async () => {
  const [older, newer] = servers
  if (older === undefined || newer === undefined) throw new Error('two servers were started')
  const future = Date.now() + 1_000_000_000
  await sql`insert into warder.migrations (hash, created_at) values ('of a newer version', ${future})`
  try {
    expect((await ask(newer.decisionPort, false, stage.question())).kind).toBe('allow')
    await expect(older.start()).rejects.toThrow('was migrated by a newer version of Warder')
    expect((await ask(newer.decisionPort, false, stage.question())).kind).toBe('allow')
  } finally {
    await sql`delete from warder.migrations where created_at = ${future}`
  }
})
