import { afterEach, describe, expect, test } from 'vitest'
import { createProcessLog } from '#process/log.ts'
import { openTelemetry } from '#telemetry/open.ts'
import type { Telemetry } from '#telemetry/telemetry.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { decision, fakeDecider, GATEWAY } from '../support/fake-decider.ts'
import { bearer, request } from '../support/tokens.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'

let collector: Collector | undefined
afterEach(() => collector?.close())

async function start(env: Record<string, string> = {}, status?: number | 'silent') {
  collector = await startCollector(status)
  const telemetry = await openTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env }, '1.2.3')
  if (telemetry === undefined) throw new Error('telemetry did not start')
  return { collector, telemetry }
}

/** Decides within `telemetry`, with a step that takes two milliseconds. */
function deciderOf(telemetry: Telemetry, answer: Parameters<typeof fakeDecider>[0] = {}) {
  const decider = fakeDecider(answer)
  return telemetry.traced({
    ...decider,
    decide: async (asked, gateway) => {
      const now = performance.now()
      await Promise.resolve()
      telemetry.step('policy', now - 2, now)
      return await decider.decide(asked, gateway)
    },
  })
}

describe('traces', () => {
  test('each decision is a span under its caller, with its outcome and its steps, and nothing of the request', async () => {
    const { collector, telemetry } = await start({ OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=ops' })
    const decider = deciderOf(telemetry)
    const asked = request({
      ...bearer(JWT),
      agent: { id: 'agent-77', properties: {} },
      tool: 'crm/secret-tool',
      arguments: { note: 'argument-value' },
      traceparent: `00-${TRACE}-${PARENT}-01`,
    })
    const { id } = await decider.decide(asked, GATEWAY)
    expect(await telemetry.close(5_000)).toBe(true)
    const [step, span, ...more] = collector.spans()
    expect(more).toEqual([])
    expect(span).toMatchObject({
      name: 'warder.decide',
      traceId: TRACE,
      parentSpanId: PARENT,
      attributes: {
        'warder.decision_id': id,
        'warder.tenant': 'acme',
        'warder.decision': 'allow',
        'warder.reason': 'policy.permit',
        'warder.dialect': 'native',
        'warder.policy_ms': 2,
      },
    })
    expect(step).toMatchObject({ name: 'warder.policy', traceId: TRACE, parentSpanId: span?.spanId })
    expect(step?.durationNanoseconds).toBe(2_000_000)
    expect(collector.resource()).toMatchObject({ 'service.name': 'warder', 'service.version': '1.2.3' })
    expect(collector.received[0]?.headers['x-tenant']).toBe('ops')
    const everything = JSON.stringify(collector.received)
    for (const secret of ['eyJ', 'agent-77', 'secret-tool', 'argument-value'])
      expect(everything).not.toContain(secret)
  })

  test('a refused request and a fault are spans too; only the fault is an error', async () => {
    const { collector, telemetry } = await start()
    const refusing = deciderOf(telemetry)
    await refusing.refuse({ code: 'request.too_deep', message: 'x' }, GATEWAY, 'authzen', undefined)
    await deciderOf(telemetry, decision('d' as never, 'deny', 'log.unavailable')).decide(request(), GATEWAY)
    await telemetry.close(5_000)
    const spans = collector.spans().filter(({ name }) => name === 'warder.decide')
    expect(spans[0]).toMatchObject({
      parentSpanId: undefined,
      status: { code: 0 },
      attributes: {
        'warder.decision': 'deny',
        'warder.reason': 'request.too_deep',
        'warder.dialect': 'authzen',
      },
    })
    expect(spans[1]).toMatchObject({ status: { code: 2, message: 'log.unavailable' } })
  })
})

describe('the context of a trace', () => {
  test.each([
    ['the caller did not sample', {}, `00-${TRACE}-${PARENT}-00`],
    ['the sampler says no', { OTEL_TRACES_SAMPLER: 'always_off' }, `00-${TRACE}-${PARENT}-01`],
    ['traces are not wanted', { OTEL_TRACES_EXPORTER: 'none' }, undefined],
  ])('nothing is exported where %s, and the decision is the same', async (_case, env, traceparent) => {
    const { collector, telemetry } = await start(env)
    const { effect } = await deciderOf(telemetry).decide(request({ traceparent }), GATEWAY)
    await telemetry.close(5_000)
    expect(effect).toBe('allow')
    expect(collector.spans()).toEqual([])
  })

  test.each(['nonsense', `00-${'0'.repeat(32)}-${PARENT}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`])(
    'a traceparent of %s begins a new trace',
    async (traceparent) => {
      const { collector, telemetry } = await start()
      await deciderOf(telemetry).decide(request({ traceparent }), GATEWAY)
      await telemetry.close(5_000)
      const span = collector.spans().find(({ name }) => name === 'warder.decide')
      expect(span).toMatchObject({
        parentSpanId: undefined,
        traceId: expect.stringMatching(/^(?!0{32})[0-9a-f]{32}$/),
      })
      expect(span?.traceId).not.toBe(TRACE)
    },
  )

  test('steps of decisions at the same time stay with their own', async () => {
    const { collector, telemetry } = await start()
    const decider = deciderOf(telemetry)
    await Promise.all(Array.from({ length: 50 }, () => decider.decide(request(), GATEWAY)))
    await telemetry.close(5_000)
    const spans = collector.spans()
    const roots = spans.filter(({ name }) => name === 'warder.decide')
    const steps = spans.filter(({ name }) => name === 'warder.policy')
    expect(new Set(steps.map(({ traceId }) => traceId)).size).toBe(50)
    expect(new Set(steps.map(({ parentSpanId }) => parentSpanId))).toEqual(
      new Set(roots.map(({ spanId }) => spanId)),
    )
  })
})

describe('a collector in trouble', () => {
  test.each([
    ['is not there', 'http://127.0.0.1:9', undefined],
    ['refuses', undefined, 400],
    ['never answers', undefined, 'silent'],
  ] as const)(
    'that %s changes no decision, is bounded in memory and keeps nobody waiting at the end',
    async (_case, url, status) => {
      const { telemetry } = await start(
        { OTEL_BSP_MAX_QUEUE_SIZE: '100', ...(url && { OTEL_EXPORTER_OTLP_ENDPOINT: url }) },
        status,
      )
      const faults: string[] = []
      telemetry.onFault((signal) => faults.push(signal))
      const decider = deciderOf(telemetry)
      const decisions = await Promise.all(
        Array.from({ length: 300 }, () => decider.decide(request(), GATEWAY)),
      )
      expect(decisions.every(({ effect }) => effect === 'allow')).toBe(true)
      // A decision and its step are two spans; a hundred wait.
      expect(telemetry.lost()).toBeGreaterThanOrEqual(500)
      const startedAt = performance.now()
      const isComplete = await telemetry.close(300)
      // An exporter itself gives up after ten seconds.
      expect(performance.now() - startedAt).toBeLessThan(9_000)
      if (status === 400) {
        expect({ isComplete, lost: telemetry.lost() }).toEqual({ isComplete: true, lost: 600 })
        expect(faults).toContain('traces')
      }
    },
  )
})

describe('the process log', () => {
  test('each line is a log record with its severity and fields, masked as on stderr', async () => {
    const { collector, telemetry } = await start()
    const logger = createProcessLog('info', telemetry, { write: () => undefined })
    logger.debug('not written')
    logger.info({ signal: 'SIGTERM' }, 'draining')
    logger.error({ fault: `no answer to Bearer ${JWT}`, count: 3 }, 'the log could not be written')
    telemetry.write('not JSON\n')
    await telemetry.close(5_000)
    expect(collector.logs()).toEqual([
      { severityText: 'INFO', body: 'draining', attributes: { signal: 'SIGTERM' } },
      {
        severityText: 'ERROR',
        body: 'the log could not be written',
        attributes: { fault: expect.stringContaining('[masked]'), count: 3 },
      },
    ])
    expect(JSON.stringify(collector.received)).not.toContain('eyJ')
  })
})

test('without an endpoint nothing starts', async () => {
  expect(await openTelemetry({ OTEL_SERVICE_NAME: 'pdp' }, '1.2.3')).toBeUndefined()
})
