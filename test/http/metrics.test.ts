import { expect, test } from 'vitest'
import type { MetricSources } from '#http/metric-sources.ts'
import { createMetrics } from '#http/metrics.ts'
import type { TenantId } from '#model/ids.ts'
import { decision } from '../support/fake-decider.ts'
import { metricSources } from '../support/metric-sources.ts'

async function linesOf(sources?: MetricSources, use?: (metrics: ReturnType<typeof createMetrics>) => void) {
  const metrics = createMetrics()
  if (sources !== undefined) metrics.watch(sources)
  use?.(metrics)
  return (await metrics.text()).split('\n').filter((line) => line.startsWith('warder_'))
}

test('counts decisions by dialect, effect and reason, and everything that never became one', async () => {
  const lines = await linesOf(undefined, (metrics) => {
    metrics.decided('native', decision('d' as never, 'allow', 'policy.permit'), 0.002)
    metrics.decided('native', decision('d' as never, 'allow', 'policy.permit'), 0.002)
    metrics.decided('authzen', decision('d' as never, 'deny', 'policy.forbid'), 0.002)
    metrics.unauthenticated()
    metrics.malformed('native', 'request.too_deep')
    metrics.overloaded('envoy-http')
    metrics.fault('native')
    metrics.clientError()
    metrics.stateFault()
    metrics.keysFault()
    metrics.pollFault()
    metrics.connectionEnd()
    metrics.unverified('acme', 'edge')
    metrics.step('policy', 0.00002)
    metrics.appended(true, 0.004)
    metrics.appended(false, 12)
    metrics.inFlight(1)
  })
  expect(lines).toEqual(
    expect.arrayContaining([
      'warder_decisions_total{dialect="native",decision="allow",reason="policy.permit"} 2',
      'warder_decisions_total{dialect="authzen",decision="deny",reason="policy.forbid"} 1',
      'warder_tenant_decisions_total{tenant="acme",decision="allow"} 2',
      'warder_decision_duration_seconds_count{dialect="native"} 2',
      'warder_unauthenticated_requests_total 1',
      'warder_malformed_requests_total{dialect="native",code="request.too_deep"} 1',
      'warder_overloaded_requests_total{dialect="envoy-http"} 1',
      'warder_request_faults_total{dialect="native"} 1',
      'warder_client_errors_total 1',
      'warder_state_faults_total 1',
      'warder_jwks_fetch_failures_total 1',
      'warder_signal_poll_failures_total 1',
      'warder_database_connection_ends_total 1',
      'warder_unverified_requests_total{tenant="acme",gateway="edge"} 1',
      'warder_decision_step_duration_seconds_bucket{le="0.000025",step="policy"} 1',
      'warder_log_append_duration_seconds_count{outcome="confirmed"} 1',
      'warder_log_append_duration_seconds_sum{outcome="failed"} 12',
      'warder_requests_in_flight 1',
    ]),
  )
})

test('tells what its sources say at the time of the question', async () => {
  const lines = await linesOf(metricSources())
  expect(lines).toEqual(
    expect.arrayContaining([
      'warder_build_info{version="1.2.3"} 1',
      'warder_log_queue_rows 3',
      'warder_log_rows_under_way 1',
      'warder_log_queue_limit_rows 10000',
      'warder_log_rows_written_total 100',
      'warder_log_batches_total 10',
      'warder_log_append_faults_total 2',
      'warder_log_unwritten_decisions_total{outcome="unavailable"} 4',
      'warder_log_unwritten_decisions_total{outcome="refused"} 5',
      'warder_log_unwritten_decisions_total{outcome="shed"} 6',
      'warder_state_age_seconds 1.5',
      'warder_state_age_limit_seconds 10',
      'warder_tenants 1',
      'warder_signal_streams{standing="healthy"} 4',
      'warder_signal_streams{standing="paused"} 1',
      'warder_tenants_troubled{trouble="release"} 1',
      'warder_tenants_troubled{trouble="load"} 0',
      'warder_tenant_state_version{tenant="acme"} 7',
      'warder_tenant_release_info{tenant="acme",release=""} 1',
      'warder_policy_engine_faults_total 2',
      'warder_cache_lookups_total{cache="token",result="hit"} 8',
      'warder_cache_lookups_total{cache="token",result="miss"} 9',
      'warder_cache_entries{cache="token"} 7',
      'warder_telemetry_lost_total 0',
      'warder_issuer_key_sets{standing="fresh"} 1',
      'warder_issuer_key_sets{standing="stale"} 1',
      'warder_issuer_key_sets{standing="none"} 0',
      'warder_issuer_keys{tenant="acme",issuer="https://idp.example"} 2',
      'warder_issuer_keys_age_seconds{tenant="acme",issuer="https://idp.example"} 700',
      'warder_issuer_keys_refresh_failures_total{tenant="acme",issuer="https://idp.example"} 3',
      'warder_issuer_keys_stale_served_total{tenant="acme",issuer="https://idp.example"} 12',
    ]),
  )
})

test('a second scrape shows what is, not what was added up', async () => {
  const metrics = createMetrics()
  let version = 1
  const id = 'acme' as TenantId
  metrics.watch({ ...metricSources(), tenants: () => [{ id, version, release: undefined }] })
  await metrics.text()
  version = 2
  const text = await metrics.text()
  expect(text).toContain('warder_tenant_state_version{tenant="acme"} 2')
  expect(text).toContain('warder_log_rows_written_total 100')
})

test('tenants beyond the first fifty share one label, and have no series about their state', async () => {
  const ids = Array.from({ length: 60 }, (_, i) => `t${i}` as TenantId)
  const tenants = () => ids.map((id) => ({ id, version: 1, release: undefined }))
  const lines = await linesOf({ ...metricSources(), tenants }, (metrics) => {
    for (const tenant of ids)
      metrics.decided('native', { ...decision('d' as never, 'allow', 'policy.permit'), tenant }, 0)
  })
  const decisions = lines.filter((line) => line.startsWith('warder_tenant_decisions_total{'))
  expect(decisions).toHaveLength(51)
  expect(decisions).toContain('warder_tenant_decisions_total{tenant="_other",decision="allow"} 10')
  expect(lines.filter((line) => line.startsWith('warder_tenant_state_version{'))).toHaveLength(50)
  expect(lines).toContain('warder_tenants 60')
})

test('keys that were given with the issuer have no age, and issuers beyond the first hundred no series', async () => {
  const [, given] = [...metricSources().issuerKeys()]
  const issuerKeys = () =>
    Array.from({ length: 150 }, (_, i) => ({ ...given, issuer: `urn:${i}` })) as ReturnType<
      MetricSources['issuerKeys']
    >
  const lines = await linesOf({ ...metricSources(), issuerKeys })
  expect(lines.filter((line) => line.startsWith('warder_issuer_keys{'))).toHaveLength(100)
  expect(lines.filter((line) => line.startsWith('warder_issuer_keys_age_seconds'))).toEqual([])
  expect(lines).toContain('warder_issuer_key_sets{standing="fresh"} 150')
})

test('gateways beyond the first hundred share one label', async () => {
  const lines = await linesOf(undefined, (metrics) => {
    for (let i = 0; i < 150; i++) metrics.unverified('acme', `g${i}`)
  })
  const counted = lines.filter((line) => line.startsWith('warder_unverified_requests_total{'))
  expect(counted).toHaveLength(101)
  expect(counted).toContain('warder_unverified_requests_total{tenant="_other",gateway="_other"} 50')
})
