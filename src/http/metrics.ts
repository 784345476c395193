import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Decision } from '#model/decision.ts'
import type { Dialect } from '#model/request.ts'
import type { ListenerMetrics } from './port.ts'

/** What is read when somebody asks for metrics. */
export interface Gauges {
  /** Rows that wait for the database. */
  logQueueLength(): number
  /** Seconds since the database last confirmed that nothing newer exists. */
  stateAgeSeconds(): number
  /** Times that the policy engine failed and was rebuilt. */
  engineFaults(): number
}

/** Metrics of one server in a registry of its own. */
export interface Metrics extends ListenerMetrics {
  readonly contentType: string
  /** The Prometheus text format. */
  text(): Promise<string>
}

// Decisions take tens of microseconds to a few milliseconds; a second is an outage.
const SECONDS_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]
// Beyond this many tenants a label of their own would make the series grow without bound.
const TENANT_LABELS_MAX = 50
const OTHER_TENANTS = '_other'

type Increment = () => void

/**
 * Counts decisions and everything that stops a request before one. No label holds a key, a token or a part of a request;
 * tenants beyond the first 50 are counted together.
 */
export function createMetrics(gauges: Gauges): Metrics {
  const registry = new Registry()
  const counters = createCounters(registry)
  addGauges(registry, gauges)
  const increments = new Map<string, Increment>()
  const tenants = new Set<string>()
  const increment = (key: string, make: () => Increment): void => {
    const known = increments.get(key) ?? make()
    increments.set(key, known)
    known()
  }
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    decided(dialect: Dialect, { effect, reasons, tenant }: Decision, seconds: number) {
      const reason = reasons[0]?.code ?? 'none'
      if (tenants.size < TENANT_LABELS_MAX) tenants.add(tenant)
      const shown = tenants.has(tenant) ? tenant : OTHER_TENANTS
      increment(`d ${dialect} ${effect} ${reason}`, () => {
        const child = counters.decisions.labels(dialect, effect, reason)
        return () => child.inc()
      })
      increment(`t ${effect} ${shown}`, () => {
        const child = counters.tenantDecisions.labels(shown, effect)
        return () => child.inc()
      })
      counters.seconds.labels(dialect).observe(seconds)
    },
    unauthenticated: () => counters.unauthenticated.inc(),
    malformed: (dialect, code) => counters.malformed.labels(dialect, code).inc(),
    overloaded: (dialect) => counters.overloaded.labels(dialect).inc(),
    fault: (dialect) => counters.faults.labels(dialect).inc(),
    clientError: () => counters.clientErrors.inc(),
    inFlight: (change) => counters.inFlight.inc(change),
  }
}

function createCounters(registry: Registry) {
  const counter = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): Counter<Label> => new Counter({ name, help, labelNames, registers: [registry] })
  return {
    decisions: counter('warder_decisions_total', 'Decisions by deciding reason.', [
      'dialect',
      'decision',
      'reason',
    ]),
    tenantDecisions: counter('warder_tenant_decisions_total', 'Decisions by tenant; the first 50 by name.', [
      'tenant',
      'decision',
    ]),
    seconds: new Histogram({
      name: 'warder_decision_duration_seconds',
      help: 'From the first byte of the body to the answer; a batch counts for each item.',
      labelNames: ['dialect'],
      buckets: SECONDS_BUCKETS,
      registers: [registry],
    }),
    unauthenticated: counter(
      'warder_unauthenticated_requests_total',
      'Requests without a valid gateway key.',
      [],
    ),
    malformed: counter(
      'warder_malformed_requests_total',
      'Requests and batch items that could not be read.',
      ['dialect', 'code'],
    ),
    overloaded: counter(
      'warder_overloaded_requests_total',
      'Requests refused because too many were in flight.',
      ['dialect'],
    ),
    faults: counter('warder_request_faults_total', 'Requests that ended in an internal fault, as a deny.', [
      'dialect',
    ]),
    clientErrors: counter(
      'warder_client_errors_total',
      'Connections with broken HTTP or a client too slow.',
      [],
    ),
    inFlight: new Gauge({
      name: 'warder_requests_in_flight',
      help: 'Requests that are being read or decided.',
      registers: [registry],
    }),
  }
}

function addGauges(registry: Registry, gauges: Gauges): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    const made: Gauge = new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
    made.set(0)
  }
  gauge('warder_log_queue_rows', 'Decision log rows that wait for the database.', gauges.logQueueLength)
  gauge('warder_state_age_seconds', 'Seconds since the database confirmed the state.', gauges.stateAgeSeconds)
  const faults: Counter = new Counter({
    name: 'warder_policy_engine_faults_total',
    help: 'Times that the policy engine failed and was rebuilt.',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(gauges.engineFaults())
    },
  })
  faults.inc(0)
}
