import { setTimeout as sleep } from 'node:timers/promises'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import { createLogWriter, type LogWriter } from '#decision-log/writer.ts'
import { createDecisionListener } from '#http/decision-listener.ts'
import { createMetrics } from '#http/metrics.ts'
import { DEFAULT_LIMITS } from '#http/port.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import { uuidV7 } from '#lib/uuid.ts'
import type { Decider } from '#model/decider.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { createFaultLines } from '#process/fault-lines.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import type { Database } from '#store/database.ts'
import { createAppendRows, registerWriter } from '#store/decisions.ts'
import { joinEmbeddedPostgres } from '#store/embedded-postgres.ts'
import { openStateFeed, type StateFeed } from '#store/state-feed.ts'
import { openStateSeen } from '#store/state-seen.ts'
import { wireEngine } from '#wire/engine.ts'
import { openBenchDatabase, TENANT } from './database.ts'
import { decideInLoop } from './in-process.ts'
import type { Answer, LogSetting, Question, ServerSettings } from './protocol.ts'
import { watchUsage } from './usage.ts'

// The process that is measured: the parts of src/wire.ts with one database of the run, and a log that can be off.

const QUEUE_MAX = 10_000
const settings = parseSettings(process.argv[2] ?? '')
/** `WARDER_ENGINE=wasm npm run bench` measures the engine that is compared with. */
const engine = process.env['WARDER_ENGINE'] === 'wasm' ? 'wasm' : 'compiled'
const server = await joinEmbeddedPostgres({
  dataDir: settings.dataDirectory,
  applicationName: 'warder bench server',
})
const db = await openBenchDatabase(server, settings.database)
const feed = await openStateFeed(db, {
  seen: await openStateSeen(settings.dataDirectory, report),
  assembleRelease,
  applyEntities,
  emptyRegistry,
  clock: systemClock,
  pollMilliseconds: 500,
  onFault: report,
})
const faults = createFaultLines(({ message, ...fields }) => console.error(message, fields))
const writer = await openWriter(settings.log, db)
const decider = await openDecider(feed, writer)
const listener = createDecisionListener({
  decider,
  findGateway: feed.state.gatewayByKeyHash.bind(feed.state),
  clock: systemClock,
  metrics: createMetrics(),
  limits: DEFAULT_LIMITS,
  onUnauthenticated: () => undefined,
})
const { port } = await listener.listen('127.0.0.1', 0)
const usage = watchUsage(() => {
  const { refused, shed, unavailable } = writer.stats()
  return refused + shed + unavailable
}, releaseNow)
process.on('message', (question: Question) => {
  answer(question).then(say, report)
})
process.on('disconnect', () => {
  close().catch(report)
})
say({ say: 'ready', port })

async function answer(question: Question): Promise<Answer> {
  switch (question.ask) {
    case 'start':
      usage.start(question.turns)
      return { say: 'started' }
    case 'stop': {
      const used = usage.stop()
      await untilWaiting(0)
      return { say: 'usage', usage: used }
    }
    case 'release':
      return { say: 'release', release: releaseNow() }
    case 'loop': {
      const roomInLog = (): Promise<void> => untilWaiting(QUEUE_MAX / 2)
      const result = await decideInLoop(decider, feed.state, usage, settings, { ...question, roomInLog })
      await untilWaiting(0)
      return { say: 'looped', result }
    }
  }
}

/** Until no more than so many rows wait for the database: what is left of earlier load belongs to no measurement. */
async function untilWaiting(rows: number): Promise<void> {
  const waiting = (): number => writer.stats().queued + writer.stats().underWay
  while (waiting() > rows) await sleep(1)
}

function releaseNow(): string | undefined {
  return feed.state.tenant(TENANT as Parameters<typeof feed.state.tenant>[0])?.release?.id
}

async function openWriter(log: LogSetting, database: Database): Promise<LogWriter> {
  const name = uuidV7(systemClock())
  await registerWriter(database, name, 'warder bench server')
  return createLogWriter({
    append: createAppendRows(database),
    mode: log === 'require' ? 'require' : 'buffer',
    overflow: 'deny',
    queueMax: QUEUE_MAX,
    writer: name,
    onFault: report,
  })
}

async function openDecider({ state, tenants }: StateFeed, log: LogWriter): Promise<Decider> {
  const config = { engine, dataDirectory: settings.dataDirectory } as const
  const wired = await wireEngine(config, { tenants, faults })
  // What is measured is the engine that serves once its release is proven, not the proving.
  while (engine !== 'wasm' && wired.stats().tenants.compiled < 1) await sleep(50)
  const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: report })
  return createDecider({
    clock: systemClock,
    state,
    freshnessMillisecondsMax: 10_000,
    verify: createVerify({ keys }),
    judgePolicy: createJudgePolicy(wired.evaluate),
    mask: createMask(new Uint8Array(32)),
    log: settings.log === 'off' ? { write: async () => ({ ok: true, value: undefined }) } : log,
    onFault: report,
  })
}

async function close(): Promise<void> {
  await listener.close(1_000)
  await feed.close()
  await writer.close(5_000)
  await db.close()
  await server.leave()
  process.exit()
}

function say(message: Answer): void {
  process.send?.(message)
}

function report(fault: unknown): void {
  console.error(fault)
}

function parseSettings(text: string): ServerSettings {
  return JSON.parse(text) as ServerSettings
}
