import { installationSecret } from '#admin/installation-secret.ts'
import type { AdminStore } from '#admin/ports.ts'
import { speaksTls } from '#config/unsafe-settings.ts'
import type { Config, ListenerName } from '#config.ts'
import type { LogWriter } from '#decision-log/writer.ts'
import { type AdminListenerParts, createAdminListener, type Readiness } from '#http/admin-listener.ts'
import { createDecisionListener } from '#http/decision-listener.ts'
import { createExtAuthzListener } from '#http/ext-authz-listener.ts'
import type { Metrics } from '#http/metrics.ts'
import { DEFAULT_LIMITS, type Listener } from '#http/port.ts'
import type { Tls } from '#http/tls.ts'
import { systemClock } from '#lib/clock.ts'
import type { Decider } from '#model/decider.ts'
import type { Engine } from '#policy/engine/engine.ts'
import { faultText, type ProcessLog } from '#process/log.ts'
import type { RevocationEvents } from '#revocation/events.ts'
import type { ReceiveSet } from '#signals/receive.ts'
import type { Database } from '#store/database.ts'
import { createQueryLog } from '#store/decisions.ts'
import type { FeedParts, StateFeed } from '#store/state-feed.ts'
import type { WiredPolls } from './polls.ts'
import type { WiredSignals } from './signals.ts'
import type { ListenerTls } from './tls.ts'
import type { Fronts } from './workers.ts'

/** The log writer, and whether the database took the last rows. */
export interface OpenLog {
  readonly writer: LogWriter
  isHealthy(): boolean
}

/** Where the listeners are reached. */
export interface Addresses {
  readonly decisions: string
  readonly admin: string
  readonly extAuthz: string
}

/**
 * Which part of a server a process is: all of it; the keeper, which administers and keeps the fronts; or a front, which
 * decides. docs/operations.md says what that is for.
 */
export type Share =
  | { readonly role: 'whole' }
  | { readonly role: 'keeper'; startFronts(): Promise<Fronts> }
  | { readonly role: 'front'; readonly worker: string; readonly listen: FeedParts['listen'] }

/** What listeners answer from. */
export interface Parts {
  readonly decider: Decider
  readonly feed: StateFeed
  readonly log: OpenLog
  readonly engine: Engine
  readonly store: AdminStore
  readonly db: Database
  readonly metrics: Metrics
  readonly events: RevocationEvents
  readonly receiveSet: ReceiveSet
  readonly signals: Pick<WiredSignals, 'keys' | 'transmitter' | 'figures'>
  readonly streams: WiredPolls
}

/** A front that is replaced has successors: nothing is lost by taking requests a little longer. */
const LAME_DUCK_MILLISECONDS = 1_000

/** Starts the listeners of this process; each is closed with what was opened, the admin listener last. */
export async function listen(
  config: Config,
  logger: ProcessLog,
  opened: (() => Promise<void>)[],
  parts: Parts & { readonly tls: ListenerTls; readonly share: Share },
): Promise<{ readonly addresses: Addresses; readonly fronts: Fronts | undefined }> {
  const { feed, metrics, tls, share } = parts
  const checks = {
    decider: parts.decider,
    findGateway: feed.state.gatewayByKeyHash.bind(feed.state),
    clock: systemClock,
    metrics,
    limits: {
      ...DEFAULT_LIMITS,
      bodyBytesMax: config.bodyBytesMax,
      requestsInFlightMax: Math.ceil(config.requestsInFlightMax / config.workers),
      ...(share.role === 'front' && { lameDuckMilliseconds: LAME_DUCK_MILLISECONDS }),
    },
    onUnauthenticated: (count: number) => logger.warn({ count }, 'requests without a valid gateway key'),
    publicUrl: publicUrlOf(config),
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
  let fronts: Fronts | undefined
  // The admin listener first: it is the last to close, so that probes see the drain.
  const admin =
    share.role === 'front'
      ? addressUrl(config.adminListen, tls.of('admin') !== undefined)
      : await start('admin', config.adminListen, (secure) =>
          createAdminListener({
            ...adminParts(config, logger, parts, () => fronts),
            metrics: metricsOfAll(metrics, () => fronts),
            tls: secure,
          }),
        )
  if (share.role === 'keeper') {
    fronts = await share.startFronts()
    opened.push(() => fronts?.close() ?? Promise.resolve())
    return { addresses: { ...fronts.addresses, admin }, fronts }
  }
  const extAuthz = await start('ext_authz', config.extAuthzListen, (secure) =>
    createExtAuthzListener({
      ...checks,
      tls: secure,
      isReady: () => readiness(config, feed, parts.log, parts.engine).ready,
    }),
  )
  const decisions = await start('decisions', config.listen, (secure) =>
    createDecisionListener({
      ...checks,
      events: parts.events,
      receiveSet: parts.receiveSet,
      signalKeys: () => parts.signals.keys(),
      transmitter: parts.signals.transmitter,
      tls: secure,
    }),
  )
  return { addresses: { decisions, admin, extAuthz }, fronts }
}

/** The metrics of this process, or of all processes of the server. */
function metricsOfAll(
  metrics: Metrics,
  fronts: () => Fronts | undefined,
): Pick<Metrics, 'contentType' | 'text'> {
  return {
    contentType: metrics.contentType,
    text: async () => (await fronts()?.metrics(await metrics.samples())) ?? (await metrics.text()),
  }
}

/** INVARIANT: never taken from a Host header; without a configured URL it is the address that we listen on. */
export function publicUrlOf(config: Config): string {
  return config.publicUrl ?? addressUrl(config.listen, speaksTls(config, 'decisions'))
}

function addressUrl({ host, port }: Config['listen'], isTls: boolean): string {
  return `${isTls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function adminParts(
  config: Config,
  logger: ProcessLog,
  { decider, feed, log, engine, store, db, streams, share }: Parts & { readonly share: Share },
  fronts: () => Fronts | undefined,
): Omit<AdminListenerParts, 'metrics'> {
  const ready = (): Readiness =>
    readiness(config, feed, log, engine, share.role === 'keeper' ? [workersCheck(fronts())] : [])
  return {
    readiness: ready,
    store,
    transmitters: streams.client,
    log: createQueryLog(db),
    explain: { decider, clock: systemClock },
    installationSecret: () => installationSecret(config.dataDirectory),
    onUnauthenticated: (count) => logger.warn({ count }, 'admin calls without a valid token'),
    onFault: (error) => logger.error({ fault: faultText(error) }, 'an admin call ended in a fault'),
    status: () => ({
      database: db.kind,
      warnings: db.warnings,
      log: { mode: config.logMode, ...log.writer.stats() },
      engine: { traps: engine.traps },
      checks: ready().checks,
    }),
  }
}

/** Ready: the policy engine tells allow from deny, the state is fresh and not that of an old backup, and rows reach the database. */
function readiness(
  config: Config,
  feed: StateFeed,
  log: OpenLog,
  engine: Engine,
  kept: Readiness['checks'] = [],
): Readiness {
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
    ...kept,
  ]
  return { ready: checks.every(({ ok }) => ok), checks }
}

/** One that is replaced is no reason to send the traffic elsewhere; none at all is. */
function workersCheck(fronts: Fronts | undefined): Readiness['checks'][number] {
  const { now, wanted } = fronts?.serving() ?? { now: 0, wanted: 'all' }
  return { name: 'workers', ok: now > 0, detail: `${now} of ${wanted} processes decide` }
}
