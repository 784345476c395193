import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Config, readConfig } from '#config.ts'
import type { AppendRows } from '#decision-log/port.ts'
import { createLogWriter } from '#decision-log/writer.ts'
import { createMetrics } from '#http/metrics.ts'
import { createMemoryReplayStore } from '#identity/proof/replay.ts'
import { createFaultLines } from '#process/fault-lines.ts'
import { createBreakers } from '#revocation/breakers.ts'
import { openTelemetry } from '#telemetry/open.ts'
import { wireDecider } from '#wire/decider.ts'
import { nativeRequest } from '../support/ask.ts'
import { startCollector } from '../support/collector.ts'
import { createWorld, type World } from '../support/world.ts'

const QUESTION = { agent: 'triage-bot', user: 'alice', tool: 'github/list_repos' }

let world: World
let directory: string
beforeAll(async () => {
  world = await createWorld('demo', { policies: 'demo' })
})
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'warder-wire-'))
})
afterEach(() => rm(directory, { recursive: true }))

function configOf(): Config {
  const config = readConfig({ WARDER_DATA_DIR: directory })
  if (!config.ok) throw new Error('the defaults are no configuration')
  return config.value
}

/** The wired decision path around the demo tenant, with an OTLP endpoint or without. */
async function wired(append: AppendRows, endpoint?: string, waitMilliseconds = 60_000) {
  const metrics = createMetrics()
  const telemetry = await openTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, '1.2.3')
  const writer = createLogWriter({
    append,
    mode: 'require',
    overflow: 'deny',
    queueMax: 100,
    writer: 'test',
    onFault: () => undefined,
    waitMilliseconds,
  })
  const state = {
    tenant: () => world.tenant,
    gatewayByKeyHash: () => undefined,
    refreshedAt: nativeRequest(QUESTION).now,
    ageMilliseconds: () => 0,
    rolledBack: () => undefined,
  }
  const around = {
    proofs: { ...createMemoryReplayStore(), nonceSecret: () => new Uint8Array(32) },
    admit: async () => 'full' as const,
    breakers: createBreakers(() => undefined),
    state,
    tenants: () => [world.tenant],
    writer,
    metrics,
    faults: createFaultLines(() => undefined),
    telemetry,
  }
  return { ...(await wireDecider(configOf(), around)), metrics, telemetry, writer }
}

describe('the wired decision path', () => {
  test('measures each step once for each decision, and says how its caches are doing', async () => {
    const { decider, metrics, caches } = await wired(async () => undefined)
    const { effect } = await decider.decide(nativeRequest(QUESTION), world.gateway)
    const text = await metrics.text()
    expect(effect).toBe('allow')
    for (const step of ['identity', 'policy', 'log'])
      expect(text).toContain(`warder_decision_step_duration_seconds_count{step="${step}"} 1`)
    expect(Object.keys(caches)).toEqual(['token', 'slice', 'answer'])
    expect(caches['slice']?.().entries).toBeGreaterThan(0)
  })

  test('with a collector a decision is a span with a child for each step', async () => {
    const collector = await startCollector()
    const { decider, telemetry } = await wired(async () => undefined, collector.url)
    await decider.decide(nativeRequest(QUESTION), world.gateway)
    expect(await telemetry?.close(5_000)).toBe(true)
    await collector.close()
    const spans = collector.spans()
    const root = spans.find(({ name }) => name === 'warder.decide')
    expect(root?.attributes).toMatchObject({
      'warder.tenant': 'demo',
      'warder.decision': 'allow',
      'warder.release': world.tenant.release?.id,
    })
    const children = spans.filter(({ parentSpanId }) => parentSpanId === root?.spanId)
    expect(children.map(({ name }) => name)).toEqual(['warder.identity', 'warder.policy', 'warder.log'])
    for (const name of Object.values(QUESTION)) expect(JSON.stringify(collector.received)).not.toContain(name)
  })

  test('a decision that could not be logged is an error in its trace', async () => {
    const collector = await startCollector()
    const { decider, telemetry, writer } = await wired(
      () => Promise.reject(new Error('no database')),
      collector.url,
      50,
    )
    const { effect } = await decider.decide(nativeRequest(QUESTION), world.gateway)
    await writer.close(0)
    await telemetry?.close(5_000)
    await collector.close()
    expect(effect).toBe('deny')
    expect(collector.spans().find(({ name }) => name === 'warder.decide')).toMatchObject({
      status: { code: 2, message: 'log.unavailable' },
      attributes: { 'warder.decision': 'deny', 'warder.reason': 'log.unavailable' },
    })
  })
})
