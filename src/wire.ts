import type { AdminStore } from '#admin/ports.ts'
import { type OpenSealing, openSealing } from '#admin/sealing.ts'
import type { DemoCredentials } from '#admin/seed-demo.ts'
import { seedDemo } from '#admin/seed-demo.ts'
import { type WatchOptions, watchPolicies } from '#admin/watch-policies.ts'
import type { Config } from '#config.ts'
import { createLogWriter } from '#decision-log/writer.ts'
import type { IssuerKeys } from '#http/metric-issuers.ts'
import { createMetrics, type MetricSamples } from '#http/metrics.ts'
import type { KeySets } from '#identity/key-sets.ts'
import { systemClock } from '#lib/clock.ts'
import { uuidV7 } from '#lib/uuid.ts'
import type { TenantState } from '#model/state.ts'
import { createFaultLines, type FaultLines } from '#process/fault-lines.ts'
import { faultText, type ProcessLog } from '#process/log.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { createAppendRows, registerWriter } from '#store/decisions.ts'
import { createAdmit } from '#store/ephemeral-agents.ts'
import { keepLog } from '#store/log-keeper.ts'
import { openProofStore, type ProofStore } from '#store/proofs.ts'
import type { Telemetry } from '#telemetry/telemetry.ts'
import { installedVersion } from '#version.ts'
import { type WiredDecider, wireDecider } from '#wire/decider.ts'
import { wireExchange } from '#wire/exchange.ts'
import { type SharedFamilies, wireFamilies } from '#wire/families.ts'
import { type Addresses, listen, type OpenLog, type Parts, publicUrlOf, type Share } from '#wire/listeners.ts'
import { type WiredPolls, wirePolls } from '#wire/polls.ts'
import { wireRevocation } from '#wire/revocation.ts'
import { wireSignals } from '#wire/signals.ts'
import { wireState } from '#wire/state.ts'
import { wireTls } from '#wire/tls.ts'
import type { Fronts } from '#wire/workers.ts'

/** A server that answers. */
export interface RunningServer {
  readonly addresses: Addresses
  /** Undefined unless this database began with the demo tenant and its credentials are in the data folder. */
  readonly demo: DemoCredentials | undefined
  /** Publishes a policy folder now and after each change, until the server closes. */
  watchPolicies(options: Omit<WatchOptions, 'store'>): void
  /** Replaces the processes that decide one after the other, where there are several. */
  restart(): Promise<void>
  /** What this process counted, for the one that keeps it. */
  samples(): Promise<MetricSamples>
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
  logger: ProcessLog,
  telemetry?: Telemetry,
  share: Share = { role: 'whole' },
): Promise<RunningServer> {
  const opened: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const step of opened.splice(0).toReversed()) await step()
  }
  try {
    return { ...(await open(config, logger, opened, telemetry, share)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  config: Config,
  logger: ProcessLog,
  opened: (() => Promise<void>)[],
  telemetry: Telemetry | undefined,
  share: Share,
): Promise<Omit<RunningServer, 'close'>> {
  const metrics = createMetrics(workerOf(share))
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
  const store = createAdminStore(db, undefined, sealingOf(config))
  const { breakers, reused, events, receiveSet, close: closeRevocation } = wireRevocation(db, metrics, faults)
  opened.push(async () => closeRevocation())
  const { dataDirectory } = config
  const reached = { publicUrl: publicUrlOf(config), dataDirectory, sealing: sealingOf(config) }
  const signals = wireSignals(db, reached, faults)
  opened.push(() => signals.close())
  const heard = { events, receiveSet, signals, streams: openPolls(config, { db, metrics, faults }, opened) }
  const demo =
    config.demo === 'on' && share.role !== 'front'
      ? await seedDemo(store, config.dataDirectory, (text) => logger.info(text))
      : undefined

  let fronts: Fronts | undefined
  let families: SharedFamilies | undefined
  const onChange = (): void => {
    fronts?.changed()
    families?.ask()
  }
  const exchange = await wireExchange(config, db, faults)
  opened.push(() => exchange.close())
  const watching = { db, metrics, faults, events: exchange.watched(events), share, onChange }
  const feed = await wireState(config, watching, opened)
  exchange.endTokens(feed.state)
  families = await wireFamilies(feed, { db, faults, reused }, opened)
  if (share.role !== 'front') keep(db, logger, faults, opened)
  const log = await openLog(config, { db, metrics, faults })
  opened.push(() => closeLog(log, config, logger))
  const proofs = await openProofs(db, faults, opened)
  const guarding = { proofs, breakers, admit: createAdmit(db, feed.state), exchanger: exchange.exchanger }
  const around = { ...feed, ...guarding, families, writer: log.writer, metrics, faults, telemetry }
  const { decider, engine, caches, keys, proving, close } = await wireDecider(config, around)
  opened.push(async () => close())
  const parts: Parts = { decider, feed, log, engine, store, db, metrics, ...heard }
  watch(config, parts, { caches, keys, proving }, telemetry)
  const tls = await wireTls(config, logger)
  opened.push(async () => tls.close())
  const listening = await listen(config, logger, opened, { ...parts, tls, share })
  fronts = listening.fronts
  return {
    addresses: listening.addresses,
    demo,
    reload: async () => {
      fronts?.reload()
      await tls.reload()
    },
    restart: async () => await fronts?.restart(),
    samples: () => metrics.samples(),
    watchPolicies: watchWith(store, opened),
  }
}

function openPolls(
  config: Config,
  { db, metrics, faults }: Pick<Parts, 'db' | 'metrics'> & { readonly faults: FaultLines },
  opened: (() => Promise<void>)[],
): WiredPolls {
  const streams = wirePolls(db, sealingOf(config), metrics, faults)
  opened.push(() => streams.close())
  return streams
}

function keep(db: Database, logger: ProcessLog, faults: FaultLines, opened: (() => Promise<void>)[]): void {
  const keeper = keepLog(db, {
    report: (report) => logger.info(report, 'the decision log was maintained'),
    fault: (fault) => faults.report({ message: 'the log could not be maintained', fault: faultText(fault) }),
  })
  opened.push(() => keeper.close())
}

async function openProofs(
  db: Database,
  faults: FaultLines,
  opened: (() => Promise<void>)[],
): Promise<ProofStore> {
  const proofs = await openProofStore(db, systemClock(), (fault) =>
    faults.report({ message: 'used proofs could not be removed', fault: faultText(fault) }),
  )
  opened.push(async () => proofs.close())
  return proofs
}

/** Label of this process' samples; a server that is one process needs none. */
function workerOf(share: Share): string | undefined {
  if (share.role === 'whole') return undefined
  return share.role === 'front' ? share.worker : 'keeper'
}

function sealingOf({ dataDirectory, secretKeyFile }: Config): OpenSealing {
  return () => openSealing(dataDirectory, secretKeyFile)
}

function watchWith(store: AdminStore, opened: (() => Promise<void>)[]): RunningServer['watchPolicies'] {
  return (options) => {
    const watch = watchPolicies({ store, ...options })
    opened.push(() => watch.close())
  }
}

function watch(
  config: Config,
  { feed, log, engine, metrics, signals, streams }: Parts,
  { caches, keys, proving }: Pick<WiredDecider, 'caches' | 'keys' | 'proving'>,
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
    issuerKeys: () => [...feed.tenants()].flatMap((tenant) => issuerKeysOf(tenant, keys)),
    proving,
    telemetryLost: () => telemetry?.lost() ?? 0,
    signalStreams: () => streams.standings(),
    signalQueue: () => signals.figures(),
  })
}

/** INVARIANT: only issuers that are registered now; who was removed has no series. */
function issuerKeysOf(
  { id, issuers }: Pick<TenantState, 'id' | 'issuers'>,
  keys: Pick<KeySets, 'health'>,
): readonly IssuerKeys[] {
  return issuers.flatMap((issuer) => {
    const health = keys.health(id, issuer)
    return health === undefined ? [] : [{ tenant: id, issuer: issuer.issuer, ...health }]
  })
}

async function closeLog({ writer }: OpenLog, config: Config, logger: ProcessLog): Promise<void> {
  const { unwritten } = await writer.close(config.shutdownGraceSeconds * 1000)
  if (unwritten > 0) logger.error({ unwritten }, 'decisions could not be logged before the end')
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
