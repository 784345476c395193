import {
  AggregatorRegistry,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'
import type { Decision } from '#model/decision.ts'
import type { Dialect } from '#model/request.ts'
import { createTenantLabels } from './metric-labels.ts'
import { collectFrom, type MetricSources } from './metric-sources.ts'
import type { ListenerMetrics } from './port.ts'

/** What takes time in a decision. */
export type DecisionStep = 'identity' | 'policy' | 'log'

/** One metric as docs/metrics.md shows it. */
export interface MetricDescription {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

/** What a process counted, in a form that goes from one process to another. */
export type MetricSamples = readonly MetricObjectWithValues<MetricValue<string>>[]

/** Metrics of one server in a registry of its own. */
export interface Metrics extends ListenerMetrics {
  /** From now on what `sources` say, and how the process is doing, is part of the text. Call it once. */
  watch(sources: MetricSources): void
  /** One step of one decision took so long. */
  step(name: DecisionStep, seconds: number): void
  /** The database confirmed rows after so long, or did not. */
  appended(isConfirmed: boolean, seconds: number): void
  /** The state could not be refreshed, or a part of it not be loaded. */
  stateFault(): void
  /** The keys of an issuer could not be fetched. */
  keysFault(): void
  /** The events of a stream could not be fetched. */
  pollFault(): void
  /** The breaker of an agent opened here. */
  breakerTrip(): void
  /** A caller behind this gateway could not be verified. */
  unverified(tenant: string, gateway: string): void
  /** A connection to the database ended. */
  connectionEnd(): void
  readonly contentType: string
  /** The Prometheus text format. */
  text(): Promise<string>
  /** The same for another process, which makes one text of those of all (`metricsText`). */
  samples(): Promise<MetricSamples>
  /** Every metric there is, sorted by name. */
  describe(): Promise<readonly MetricDescription[]>
}

// Decisions take tens of microseconds to a few milliseconds; a second is an outage.
const SECONDS_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]
// Without network and disk a step takes microseconds; the log step waits for the disk.
const STEP_BUCKETS = [0.00001, 0.000025, 0.00005, ...SECONDS_BUCKETS]
// A commit takes milliseconds; the writer gives an append up after twelve seconds.
const APPEND_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 12]

/** Gateways with series of their own. Neither their names nor those of tenants have blanks. */
const GATEWAYS_MAX = 100

type Increment = () => void

/**
 * Counts decisions and everything that stops a request before one. No label holds a key, a token or a part of a request;
 * tenants beyond the first 50 are counted together.
 *
 * @param worker label of every sample where several processes are one server
 */
export function createMetrics(worker?: string): Metrics {
  const registry = new Registry()
  if (worker !== undefined) registry.setDefaultLabels({ worker })
  const { decisions, tenantDecisions, unauthenticated, malformed, ...more } = createCounters(registry)
  const { durations, steps, appends } = createHistograms(registry)
  const inFlight = new Gauge({
    name: 'warder_requests_in_flight',
    help: 'Requests that are being read or decided.',
    registers: [registry],
  })
  const tenantLabels = createTenantLabels()
  const gatewayLabels = createTenantLabels(GATEWAYS_MAX)
  const increments = new Map<string, Increment>()
  const increment = (key: string, make: () => Increment): void => {
    const known = increments.get(key) ?? make()
    increments.set(key, known)
    known()
  }
  // Finding a child by its label costs more than counting.
  const observers = new Map<Dialect, (seconds: number) => void>()
  const observer = (dialect: Dialect) => {
    const known = observers.get(dialect)
    if (known !== undefined) return known
    const child = durations.labels(dialect)
    const observe = (seconds: number): void => child.observe(seconds)
    observers.set(dialect, observe)
    return observe
  }
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    samples: () => registry.getMetricsAsJSON(),
    describe: () => describe(registry),
    watch: (sources) => collectFrom(sources, registry, tenantLabels),
    decided(dialect: Dialect, { effect, reasons, tenant }: Decision, seconds: number) {
      const reason = reasons[0]?.code ?? 'none'
      const shown = tenantLabels.labelOf(tenant)
      increment(`d ${dialect} ${effect} ${reason}`, () => {
        const child = decisions.labels(dialect, effect, reason)
        return () => child.inc()
      })
      increment(`t ${effect} ${shown}`, () => {
        const child = tenantDecisions.labels(shown, effect)
        return () => child.inc()
      })
      observer(dialect)(seconds)
    },
    step: (name, seconds) => steps[name].observe(seconds),
    appended: (isConfirmed, seconds) => appends[isConfirmed ? 'confirmed' : 'failed'].observe(seconds),
    unauthenticated: () => unauthenticated.inc(),
    malformed: (dialect, code) => malformed.labels(dialect, code).inc(),
    overloaded: (dialect) => more.overloaded.labels(dialect).inc(),
    fault: (dialect) => more.faults.labels(dialect).inc(),
    clientError: () => more.clientErrors.inc(),
    stateFault: () => more.stateFaults.inc(),
    keysFault: () => more.keysFaults.inc(),
    pollFault: () => more.pollFaults.inc(),
    breakerTrip: () => more.breakerTrips.inc(),
    unverified: (tenant, gateway) => {
      const [shownTenant = '', shownGateway = ''] = gatewayLabels.labelOf(`${tenant} ${gateway}`).split(' ')
      more.unverified.labels(shownTenant, shownGateway === '' ? shownTenant : shownGateway).inc()
    },
    connectionEnd: () => more.connectionEnds.inc(),
    inFlight: (change) => inFlight.inc(change),
  }
}

/** One text of what several processes counted; each sample keeps the label of its process. */
export async function metricsText(processes: readonly MetricSamples[]): Promise<string> {
  return await AggregatorRegistry.aggregate(processes.map((samples) => [...samples])).metrics()
}

function createCounters(registry: Registry) {
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter<Label>({ name: `warder_${name}_total`, help, labelNames, registers: [registry] })
  return {
    decisions: counter('decisions', 'Decisions by deciding reason.', ['dialect', 'decision', 'reason']),
    tenantDecisions: counter(
      'tenant_decisions',
      'Decisions by tenant; those beyond the first 50 are `_other`.',
      ['tenant', 'decision'],
    ),
    unauthenticated: counter('unauthenticated_requests', 'Requests without a valid gateway key.', []),
    malformed: counter('malformed_requests', 'Requests and batch items that could not be read.', [
      'dialect',
      'code',
    ]),
    overloaded: counter('overloaded_requests', 'Requests refused because too many were in flight.', [
      'dialect',
    ]),
    faults: counter(
      'request_faults',
      'Requests that could not even be answered with a decision; they got an error.',
      ['dialect'],
    ),
    clientErrors: counter('client_errors', 'Connections with broken HTTP or a client too slow.', []),
    stateFaults: counter(
      'state_faults',
      'Failed refreshes of the state, and tenants or releases that could not be loaded.',
      [],
    ),
    keysFaults: counter('jwks_fetch_failures', 'Failed fetches of the keys of an issuer.', []),
    pollFaults: counter(
      'signal_poll_failures',
      'Failed fetches of the security events of a stream that is polled.',
      [],
    ),
    breakerTrips: counter('breaker_trips', 'Circuit breakers of agents that opened in this process.', []),
    unverified: counter(
      'unverified_requests',
      'Requests of callers who could not be verified: forged, expired or foreign credentials; gateways beyond the first 100 are `_other`.',
      ['tenant', 'gateway'],
    ),
    connectionEnds: counter(
      'database_connection_ends',
      'Connections to the database that ended. The driver renews each about once an hour; more are faults.',
      [],
    ),
  }
}

function createHistograms(registry: Registry) {
  const histogram = <Label extends string>(
    name: string,
    help: string,
    label: Label,
    buckets: readonly number[],
  ) =>
    new Histogram<Label>({
      name: `warder_${name}_duration_seconds`,
      help,
      labelNames: [label],
      buckets: [...buckets],
      registers: [registry],
    })
  const durations = histogram(
    'decision',
    'From the first byte of the body to the answer; a batch counts for each item.',
    'dialect',
    SECONDS_BUCKETS,
  )
  const steps = histogram(
    'decision_step',
    'Steps of a decision: identity (tokens), policy (Cedar), log (until the row is durable, or queued).',
    'step',
    STEP_BUCKETS,
  )
  const appends = histogram(
    'log_append',
    'One batch of log rows to the database; outcome is `confirmed` or `failed`.',
    'outcome',
    APPEND_BUCKETS,
  )
  return {
    durations,
    steps: { identity: steps.labels('identity'), policy: steps.labels('policy'), log: steps.labels('log') },
    appends: { confirmed: appends.labels('confirmed'), failed: appends.labels('failed') },
  }
}

async function describe(registry: Registry): Promise<readonly MetricDescription[]> {
  const found = await registry.getMetricsAsJSON()
  return found
    .map(({ name, type, help }) => ({
      name,
      // The declared type is an enumeration of numbers, what comes is the word.
      type: String(type),
      labels: labelsOf(registry, name),
      help,
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function labelsOf(registry: Registry, name: string): readonly string[] {
  const metric: object | undefined = registry.getSingleMetric(name)
  return metric !== undefined && 'labelNames' in metric && Array.isArray(metric.labelNames)
    ? metric.labelNames.map(String)
    : []
}
