import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client'
import type { LogWriterStats } from '#decision-log/writer.ts'
import type { CacheStats } from '#lib/cache-stats.ts'
import type { TenantState } from '#model/state.ts'
import { type IssuerKeys, KEY_READINGS } from './metric-issuers.ts'
import { OTHER_TENANTS, type TenantLabels } from './metric-labels.ts'
import type { Reading, Sample } from './metric-reading.ts'
import { type SignalStreams, STREAM_READINGS } from './metric-streams.ts'

/** What is read when somebody asks for metrics; nothing here costs a decision anything. */
export interface MetricSources extends SignalStreams {
  /** Of this installation. */
  readonly version: string
  readonly logQueueMax: number
  /** Age of the state beyond which every answer is a deny. */
  readonly freshnessSeconds: number
  log(): LogWriterStats
  /** Seconds since the database last confirmed that nothing newer exists. */
  stateAgeSeconds(): number
  tenants(): Iterable<Pick<TenantState, 'id' | 'version' | 'release'>>
  troubledTenants(): { readonly broken: number; readonly failing: number }
  /** Times that the policy engine failed and was rebuilt. */
  engineTraps(): number
  /** By the name that the label shows. */
  readonly caches: { readonly [name: string]: () => CacheStats }
  /** Of every issuer whose keys were needed, tenant by tenant. */
  issuerKeys(): Iterable<IssuerKeys>
  /** How the compiled evaluator compares with cedar-wasm. */
  proving(): ProvingCounts
  /** Spans and log records that could not be exported. */
  telemetryLost(): number
  /** Events that wait for receivers, and how many ever found no room; of the whole installation. */
  signalQueue(): { readonly waiting: number; readonly dropped: number }
}

/** Comparisons of the evaluators, and how tenants are served because of them. */
export interface ProvingCounts {
  readonly comparisons: { readonly [source in 'activation' | 'live' | 'decision']: ComparisonCounts }
  readonly dropped: number
  readonly tenants: { readonly [standing in 'compiled' | 'checking' | 'unproven' | 'different']: number }
}

interface ComparisonCounts {
  readonly same: number
  readonly different: number
  readonly unanswered: number
}

const LOG_READINGS: readonly Reading<MetricSources>[] = [
  {
    kind: 'gauge',
    name: 'log_queue_rows',
    help: 'Decision log rows that wait for the database.',
    read: ({ log }) => log().queued,
  },
  {
    kind: 'gauge',
    name: 'log_rows_under_way',
    help: 'Decision log rows that were sent and are not confirmed yet.',
    read: ({ log }) => log().underWay,
  },
  {
    kind: 'gauge',
    name: 'log_queue_limit_rows',
    help: 'Rows that may wait or be under way (WARDER_LOG_QUEUE_MAX).',
    read: ({ logQueueMax }) => logQueueMax,
  },
  {
    kind: 'counter',
    name: 'log_rows_written_total',
    help: 'Decision log rows that the database confirmed.',
    read: ({ log }) => log().written,
  },
  {
    kind: 'counter',
    name: 'log_batches_total',
    help: 'Batches of decision log rows that the database confirmed.',
    read: ({ log }) => log().batches,
  },
  {
    kind: 'counter',
    name: 'log_append_faults_total',
    help: 'Batches that were not confirmed; the same rows are sent again.',
    read: ({ log }) => log().faults,
  },
  {
    kind: 'counter',
    name: 'log_unwritten_decisions_total',
    help: 'Decisions without a row: `unavailable` and `refused` (queue full) were denied, `shed` were answered.',
    labels: ['outcome'],
    read: ({ log }) => {
      const { unavailable, refused, shed } = log()
      return Object.entries({ unavailable, refused, shed }).map(([outcome, value]) => [{ outcome }, value])
    },
  },
]

const STATE_READINGS: readonly Reading<MetricSources>[] = [
  {
    kind: 'gauge',
    name: 'state_age_seconds',
    help: 'Seconds since the database confirmed the state.',
    read: ({ stateAgeSeconds }) => stateAgeSeconds(),
  },
  {
    kind: 'gauge',
    name: 'state_age_limit_seconds',
    help: 'Age of the state beyond which every answer is a deny (WARDER_FRESHNESS_SECONDS).',
    read: ({ freshnessSeconds }) => freshnessSeconds,
  },
  {
    kind: 'gauge',
    name: 'tenants',
    help: 'Tenants that are served.',
    read: ({ tenants }) => [...tenants()].length,
  },
  {
    kind: 'gauge',
    name: 'tenants_troubled',
    help: 'Tenants that keep an older release because the active one is broken (`release`), or that can not be loaded (`load`).',
    labels: ['trouble'],
    read: ({ troubledTenants }) => {
      const { broken, failing } = troubledTenants()
      return [
        [{ trouble: 'release' }, broken],
        [{ trouble: 'load' }, failing],
      ]
    },
  },
  {
    kind: 'gauge',
    name: 'tenant_state_version',
    help: 'Version of the state that decisions of the tenant read; the first 50 tenants.',
    labels: ['tenant'],
    read: (sources, labels) =>
      ownTenants(sources, labels).map(({ id, version }): Sample => [{ tenant: id }, version]),
  },
  {
    kind: 'gauge',
    name: 'tenant_release_info',
    help: 'Always 1; the release that decides for the tenant; the first 50 tenants.',
    labels: ['tenant', 'release'],
    read: (sources, labels) =>
      ownTenants(sources, labels).map(
        ({ id, release }): Sample => [{ tenant: id, release: release?.id ?? '' }, 1],
      ),
  },
]

const OTHER_READINGS: readonly Reading<MetricSources>[] = [
  {
    kind: 'gauge',
    name: 'build_info',
    help: 'Always 1; the version of this server.',
    labels: ['version'],
    read: ({ version }) => [[{ version }, 1]],
  },
  {
    kind: 'counter',
    name: 'policy_engine_faults_total',
    help: 'Times that the policy engine failed and was rebuilt.',
    read: ({ engineTraps }) => engineTraps(),
  },
  {
    kind: 'counter',
    name: 'cache_lookups_total',
    help: 'Lookups in caches: `token` (verified tokens), `slice` (prepared policies), `answer` (of the engine), `exchange` (tokens for upstreams); result is `hit` or `miss`.',
    labels: ['cache', 'result'],
    read: ({ caches }) =>
      Object.entries(caches).flatMap(([cache, stats]): Sample[] => {
        const { hits, misses } = stats()
        return [
          [{ cache, result: 'hit' }, hits],
          [{ cache, result: 'miss' }, misses],
        ]
      }),
  },
  {
    kind: 'gauge',
    name: 'cache_entries',
    help: 'Entries of caches; each is bounded.',
    labels: ['cache'],
    read: ({ caches }) =>
      Object.entries(caches).map(([cache, stats]): Sample => [{ cache }, stats().entries]),
  },
  {
    kind: 'counter',
    name: 'telemetry_lost_total',
    help: 'Spans and process log records that the OTLP collector did not take.',
    read: ({ telemetryLost }) => telemetryLost(),
  },
]

const SIGNAL_READINGS: readonly Reading<MetricSources>[] = [
  {
    kind: 'gauge',
    name: 'signal_queue_events',
    help: 'Security events that wait for receivers, in the database that all servers share.',
    read: ({ signalQueue }) => signalQueue().waiting,
  },
  {
    kind: 'counter',
    name: 'signal_events_dropped_total',
    help: 'Security events that made room in a full queue of a receiver and were lost, in the database that all servers share.',
    read: ({ signalQueue }) => signalQueue().dropped,
  },
]

const PROVING_READINGS: readonly Reading<MetricSources>[] = [
  {
    kind: 'counter',
    name: 'engine_comparisons_total',
    help: 'Answers of the compiled evaluator compared with those of cedar-wasm: before a release is used (`activation`), beside live decisions (`live`), in each decision (`decision`, WARDER_ENGINE=both); `unanswered` where cedar-wasm gave none.',
    labels: ['source', 'result'],
    read: ({ proving }) =>
      Object.entries(proving().comparisons).flatMap(([source, counts]) =>
        Object.entries(counts).map(([result, value]): Sample => [{ source, result }, value]),
      ),
  },
  {
    kind: 'counter',
    name: 'engine_samples_dropped_total',
    help: 'Sampled decisions that were not evaluated again because too many waited.',
    read: ({ proving }) => proving().dropped,
  },
  {
    kind: 'gauge',
    name: 'engine_tenants',
    help: 'Tenants by how their policies are evaluated: `compiled`, or by cedar-wasm because their release is still checked (`checking`), could not be proven (`unproven`), or the evaluators differed (`different`).',
    labels: ['standing'],
    read: ({ proving }) =>
      Object.entries(proving().tenants).map(([standing, value]): Sample => [{ standing }, value]),
  },
]

/** The event loop's lag is sampled this often; oftener costs an idle server CPU. */
const LAG_MILLISECONDS = 20

/** Registers everything that is read when somebody asks, and what Node says about the process. */
export function collectFrom(sources: MetricSources, registry: Registry, tenants: TenantLabels): void {
  for (const reading of [
    ...LOG_READINGS,
    ...STATE_READINGS,
    ...KEY_READINGS,
    ...PROVING_READINGS,
    ...STREAM_READINGS,
    ...SIGNAL_READINGS,
    ...OTHER_READINGS,
  ])
    addReading(registry, reading, () => reading.read(sources, tenants))
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_MILLISECONDS })
}

function addReading(
  registry: Registry,
  reading: Reading<MetricSources>,
  read: () => number | Iterable<Sample>,
): void {
  const samples = (): Iterable<Sample> => {
    const found = read()
    return typeof found === 'number' ? [[{}, found]] : found
  }
  const shared = {
    name: `warder_${reading.name}`,
    help: reading.help,
    labelNames: reading.labels ?? [],
    registers: [registry],
  }
  const made: Counter | Gauge =
    reading.kind === 'counter'
      ? new Counter({ ...shared, collect: () => collect() })
      : new Gauge({ ...shared, collect: () => collect() })
  // What was said before is forgotten, so a release that was replaced is gone.
  const collect = (): void => {
    made.reset()
    for (const [labels, value] of samples()) made.inc({ ...labels }, value)
  }
}

function ownTenants({ tenants }: MetricSources, labels: TenantLabels) {
  return [...tenants()].filter(({ id }) => labels.labelOf(id) !== OTHER_TENANTS)
}
