import type { Logger } from 'pino'
import type { AdminStore } from '#admin/ports.ts'
import type { DemoCredentials } from '#admin/seed-demo.ts'
import { seedDemo } from '#admin/seed-demo.ts'
import { type WatchOptions, watchPolicies } from '#admin/watch-policies.ts'
import type { Config, ListenerName } from '#config.ts'
import { createLogWriter, type LogWriter } from '#decision-log/writer.ts'
import { createFaultLines, type FaultLines } from '#fault-lines.ts'
import { type AdminListenerParts, createAdminListener, type Readiness } from '#http/admin-listener.ts'
import { createDecisionListener } from '#http/decision-listener.ts'
import { createExtAuthzListener } from '#http/ext-authz-listener.ts'
import { createMetrics, type Metrics } from '#http/metrics.ts'
import { DEFAULT_LIMITS, type Listener } from '#http/port.ts'
import type { Tls } from '#http/tls.ts'
import type { CacheStats } from '#lib/cache-stats.ts'
import { systemClock } from '#lib/clock.ts'
import { uuidV7 } from '#lib/uuid.ts'
import type { Decider } from '#model/decider.ts'
import type { Engine } from '#policy/engine/engine.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { faultText } from '#process-log.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { createAppendRows, createQueryLog, registerWriter } from '#store/decisions.ts'
import { keepLog } from '#store/log-keeper.ts'
import { openStateFeed, type StateFeed } from '#store/state-feed.ts'
import { openStateSeen } from '#store/state-seen.ts'
import type { Telemetry } from '#telemetry/telemetry.ts'
import { installedVersion } from '#version.ts'
import { wireDecider } from '#wire-decider.ts'
import { type ListenerTls, wireTls } from '#wire-tls.ts'

/** A server that answers. */
export interface RunningServer {
  readonly addresses: { readonly decisions: string; readonly admin: string; readonly extAuthz: string }
  /** Undefined unless this database began with the demo tenant and its credentials are in the data folder. */
  readonly demo: DemoCredentials | undefined
  /** Publishes a policy folder now and after each change, until the server closes. */
  watchPolicies(options: Omit<WatchOptions, 'store'>): void
  /** Reads the TLS files again; those that can't be used leave the ones before in use. */
  reload(): Promise<void>
  /** Drains: no new requests, answers in flight finish, rows become durable, the database is left. */
  close(): Promise<void>
}

/**
 * Builds the whole product from its configuration and starts to listen. Everything already opened is closed on failure;
 * `telemetry` is the caller's to close.
 */
export async function startServer(
  config: Config,
  logger: Logger,
  telemetry?: Telemetry,
): Promise<RunningServer> {
  const opened: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const step of opened.splice(0).toReversed()) await step()
  }
  try {
    return { ...(await open(config, logger, opened, telemetry)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  config: Config,
  logger: Logger,
  opened: (() => Promise<void>)[],
  telemetry: Telemetry | undefined,
): Promise<Omit<RunningServer, 'close'>> {
  const metrics = createMetrics()
  const faults = createFaultLines(({ message, ...fields }) => logger.error(fields, message))
  opened.push(async () => faults.close())
  telemetry?.onFault((about, fault) =>
    faults.report({ message: 'telemetry could not be exported', about, fault: faultText(fault) }),
  )
  const db = await openDatabase({
    url: config.databaseUrl,
    dataDir: config.dataDirectory,
    applicationName: 'warder serve',
    onProgress: (text) => logger.info(text),
    onConnectionEnd: () => metrics.connectionEnd(),
  })
  opened.push(() => db.close())
  for (const warning of db.warnings) logger.warn(warning)
  const store = createAdminStore(db)
  const demo =
    config.demo === 'on'
      ? await seedDemo(store, config.dataDirectory, (text) => logger.info(text))
      : undefined

  const seen = await openStateSeen(config.dataDirectory, (error) =>
    faults.report({ message: 'the state version could not be remembered', fault: faultText(error) }),
  )
  opened.push(() => seen.close())
  const feed = await openStateFeed(db, {
    seen,
    assembleRelease,
    applyEntities,
    emptyRegistry,
    clock: systemClock,
    pollMilliseconds: config.pollMilliseconds,
    onFault: (error) => {
      metrics.stateFault()
      faults.report({ message: 'the state could not be refreshed', fault: faultText(error) })
    },
  })
  opened.push(() => feed.close())
  const keeper = keepLog(db, {
    report: (report) => logger.info(report, 'the decision log was maintained'),
    fault: (fault) => faults.report({ message: 'the log could not be maintained', fault: faultText(fault) }),
  })
  opened.push(() => keeper.close())

  const log = await openLog(config, { db, metrics, faults })
  opened.push(async () => {
    const { unwritten } = await log.writer.close(config.shutdownGraceSeconds * 1000)
    if (unwritten > 0) logger.error({ unwritten }, 'decisions could not be logged before the end')
  })
  const around = { state: feed.state, writer: log.writer, metrics, faults, telemetry }
  const { decider, engine, caches, close } = await wireDecider(config, around)
  opened.push(async () => close())
  const parts: Parts = { decider, feed, log, engine, store, db, metrics }
  watch(config, parts, caches, telemetry)
  const tls = await wireTls(config, logger)
  opened.push(async () => tls.close())
  const addresses = await listen(config, logger, opened, { ...parts, tls })
  return { addresses, demo, reload: () => tls.reload(), watchPolicies: watchWith(store, opened) }
}

function watchWith(store: AdminStore, opened: (() => Promise<void>)[]): RunningServer['watchPolicies'] {
  return (options) => {
    const watch = watchPolicies({ store, ...options })
    opened.push(() => watch.close())
  }
}

function watch(
  config: Config,
  { feed, log, engine, metrics }: Parts,
  caches: { readonly [name: string]: () => CacheStats },
  telemetry: Telemetry | undefined,
): void {
  metrics.watch({
    version: installedVersion(),
    logQueueMax: config.logQueueMax,
    freshnessSeconds: config.freshnessSeconds,
    log: () => log.writer.stats(),
    stateAgeSeconds: () => feed.state.ageMilliseconds() / 1000,
    tenants: () => feed.tenants(),
    troubledTenants: () => feed.troubled(),
    engineTraps: () => engine.traps,
    caches,
    telemetryLost: () => telemetry?.lost() ?? 0,
  })
}

/** The log writer, and whether the database took the last rows. */
interface OpenLog {
  readonly writer: LogWriter
  isHealthy(): boolean
}

async function openLog(
  config: Config,
  { db, metrics, faults }: Pick<Parts, 'db' | 'metrics'> & { readonly faults: FaultLines },
): Promise<OpenLog> {
  const name = uuidV7(systemClock())
  await registerWriter(db, name, 'warder serve')
  const append = createAppendRows(db)
  let healthy = true
  const writer = createLogWriter({
    append: async (rows) => {
      const startedAt = performance.now()
      try {
        await append(rows)
        healthy = true
      } catch (error) {
        healthy = false
        throw error
      } finally {
        metrics.appended(healthy, (performance.now() - startedAt) / 1000)
      }
    },
    mode: config.logMode,
    overflow: config.logOverflow,
    queueMax: config.logQueueMax,
    writer: name,
    onFault: (fault) =>
      faults.report({ message: 'the decision log could not be written', fault: faultText(fault) }),
  })
  return { writer, isHealthy: () => healthy }
}

interface Parts {
  readonly decider: Decider
  readonly feed: StateFeed
  readonly log: OpenLog
  readonly engine: Engine
  readonly store: AdminStore
  readonly db: Database
  readonly metrics: Metrics
}

async function listen(
  config: Config,
  logger: Logger,
  opened: (() => Promise<void>)[],
  parts: Parts & { readonly tls: ListenerTls },
): Promise<RunningServer['addresses']> {
  const { feed, metrics, tls } = parts
  const checks = {
    decider: parts.decider,
    findGateway: feed.state.gatewayByKeyHash.bind(feed.state),
    clock: systemClock,
    metrics,
    limits: {
      ...DEFAULT_LIMITS,
      bodyBytesMax: config.bodyBytesMax,
      requestsInFlightMax: config.requestsInFlightMax,
    },
    onUnauthenticated: (count: number) => logger.warn({ count }, 'requests without a valid gateway key'),
    // INVARIANT: never taken from a Host header; without a configured URL it is the address that we listen on.
    publicUrl: config.publicUrl ?? addressUrl(config.listen, tls.of('decisions') !== undefined),
  }
  const graceMilliseconds = config.shutdownGraceSeconds * 1000
  const start = async (
    name: ListenerName,
    at: Config['listen'],
    create: (tls: Tls | undefined) => Listener,
  ): Promise<string> => {
    const listener = create(tls.of(name))
    const address = await listener.listen(at.host, at.port)
    opened.push(() => listener.close(graceMilliseconds))
    return addressUrl(address, tls.of(name) !== undefined)
  }
  // The admin listener first: it is the last to close, so that probes see the drain.
  const admin = await start('admin', config.adminListen, (secure) =>
    createAdminListener({ ...adminParts(config, logger, parts), metrics, tls: secure }),
  )
  const extAuthz = await start('ext_authz', config.extAuthzListen, (secure) =>
    createExtAuthzListener({ ...checks, tls: secure }),
  )
  const decisions = await start('decisions', config.listen, (secure) =>
    createDecisionListener({ ...checks, tls: secure }),
  )
  return { decisions, admin, extAuthz }
}

function addressUrl({ host, port }: Config['listen'], isTls: boolean): string {
  return `${isTls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function adminParts(
  config: Config,
  logger: Logger,
  { feed, log, engine, store, db }: Parts,
): Omit<AdminListenerParts, 'metrics'> {
  return {
    readiness: () => readiness(config, feed, log, engine),
    store,
    log: createQueryLog(db),
    onUnauthenticated: (count) => logger.warn({ count }, 'admin calls without a valid token'),
    onFault: (error) => logger.error({ fault: faultText(error) }, 'an admin call ended in a fault'),
    status: () => ({
      database: db.kind,
      warnings: db.warnings,
      log: { mode: config.logMode, ...log.writer.stats() },
      engine: { traps: engine.traps },
      checks: readiness(config, feed, log, engine).checks,
    }),
  }
}

/** Ready: the policy engine tells allow from deny, the state is fresh and not that of an old backup, and rows reach the database. */
function readiness(config: Config, feed: StateFeed, log: OpenLog, engine: Engine): Readiness {
  const ageSeconds = feed.state.ageMilliseconds() / 1000
  const rolledBack = feed.state.rolledBack()
  const checks = [
    { name: 'engine', ok: engine.probe(), detail: 'a known allow and a known deny' },
    {
      name: 'state',
      ok: ageSeconds <= config.freshnessSeconds,
      detail: `confirmed ${ageSeconds.toFixed(1)} s ago, at most ${config.freshnessSeconds} s`,
    },
    {
      name: 'backup',
      ok: rolledBack === undefined,
      detail: rolledBack
        ? `state version ${rolledBack.seen} was seen, the database had ${rolledBack.found}: \`warder state acknowledge\``
        : 'the database is not older than it was',
    },
    { name: 'log', ok: log.isHealthy(), detail: `${log.writer.stats().queued} rows wait` },
  ]
  return { ready: checks.every(({ ok }) => ok), checks }
}
