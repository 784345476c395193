import { expect, test } from 'vitest'
import { createMetrics } from '#http/metrics.ts'
import type { TenantId } from '#model/ids.ts'
import { decision } from '../support/fake-decider.ts'

const gauges = { logQueueLength: () => 3, stateAgeSeconds: () => 1.5, engineFaults: () => 2 }

test('counts decisions by dialect, effect and reason, and everything that never became one', async () => {
  const metrics = createMetrics(gauges)
  metrics.decided('native', decision('d' as never, 'allow', 'policy.permit'), 0.002)
  metrics.decided('native', decision('d' as never, 'allow', 'policy.permit'), 0.002)
  metrics.decided('authzen', decision('d' as never, 'deny', 'policy.forbid'), 0.002)
  metrics.unauthenticated()
  metrics.malformed('native', 'request.too_deep')
  metrics.overloaded('envoy-http')
  metrics.fault('native')
  metrics.clientError()
  metrics.inFlight(1)
  const lines = (await metrics.text())
    .split('\n')
    .filter((line) => !line.startsWith('#') && !line.includes('_bucket'))
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
      'warder_requests_in_flight 1',
      'warder_log_queue_rows 3',
      'warder_state_age_seconds 1.5',
      'warder_policy_engine_faults_total 2',
    ]),
  )
})

test('tenants beyond the first fifty share one label', async () => {
  const metrics = createMetrics(gauges)
  for (let i = 0; i < 60; i++)
    metrics.decided(
      'native',
      { ...decision('d' as never, 'allow', 'policy.permit'), tenant: `t${i}` as TenantId },
      0,
    )
  const lines = (await metrics.text())
    .split('\n')
    .filter((line) => line.startsWith('warder_tenant_decisions_total{'))
  expect(lines).toHaveLength(51)
  expect(lines).toContain('warder_tenant_decisions_total{tenant="_other",decision="allow"} 10')
})
