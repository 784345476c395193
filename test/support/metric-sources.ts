import type { MetricSources } from '#http/metric-sources.ts'
import type { TenantId } from '#model/ids.ts'

/** Sources of metrics that always say the same. */
export function metricSources(): MetricSources {
  return {
    version: '1.2.3',
    logQueueMax: 10_000,
    freshnessSeconds: 10,
    log: () => ({
      queued: 3,
      underWay: 1,
      written: 100,
      batches: 10,
      faults: 2,
      unavailable: 4,
      refused: 5,
      shed: 6,
    }),
    stateAgeSeconds: () => 1.5,
    tenants: () => [{ id: 'acme' as TenantId, version: 7, release: undefined }],
    troubledTenants: () => ({ broken: 1, failing: 0 }),
    engineTraps: () => 2,
    caches: { token: () => ({ hits: 8, misses: 9, entries: 7 }) },
    issuerKeys: () => [
      {
        tenant: 'acme',
        issuer: 'https://idp.example',
        standing: 'stale',
        keys: 2,
        ageSeconds: 700,
        failures: 3,
        servedStale: 12,
      },
      {
        tenant: 'acme',
        issuer: 'urn:given',
        standing: 'fresh',
        keys: 1,
        ageSeconds: undefined,
        failures: 0,
        servedStale: 0,
      },
    ],
    proving: () => ({
      comparisons: {
        activation: { same: 500, different: 0, unanswered: 0 },
        live: { same: 20, different: 1, unanswered: 2 },
        decision: { same: 0, different: 0, unanswered: 0 },
      },
      dropped: 3,
      tenants: { compiled: 1, checking: 0, unproven: 0, different: 0 },
    }),
    telemetryLost: () => 0,
    signalStreams: () => [
      ['healthy', 4],
      ['paused', 1],
    ],
    signalQueue: () => ({ waiting: 12, dropped: 3 }),
  }
}
