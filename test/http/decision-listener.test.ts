import { afterEach, describe, expect, test } from 'vitest'
import { createDecisionListener } from '#http/decision-listener.ts'
import { DEFAULT_LIMITS, type Listener } from '#http/port.ts'
import {
  countingMetrics,
  fakeDecider,
  findGateway,
  frozenClock,
  GATEWAY_KEY,
} from '../support/fake-decider.ts'
import { header, request } from '../support/raw-http.ts'

const AUTH: readonly (readonly [string, string])[] = [
  ['authorization', `Bearer ${GATEWAY_KEY}`],
  ['content-type', 'application/json'],
]

let open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.map((listener) => listener.close(0)))
  open = []
})

async function start(parts: Partial<Parameters<typeof createDecisionListener>[0]> = {}) {
  const decider = fakeDecider()
  const metrics = countingMetrics()
  const listener = createDecisionListener({
    decider,
    findGateway,
    clock: frozenClock,
    metrics,
    limits: DEFAULT_LIMITS,
    onUnauthenticated: () => undefined,
    ...parts,
  })
  open.push(listener)
  const { port } = await listener.listen('127.0.0.1', 0)
  return { port, decider, metrics }
}

describe('a native question', () => {
  test('is answered with the decision and its id in body and header', async () => {
    const { port } = await start()
    const body = JSON.stringify({ agent: 'a1', user: 'u1', tool: 'github/create_issue' })
    const answer = await request(port, 'POST', '/v1/decide', AUTH, body)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toEqual({
      decision: 'allow',
      reasons: [{ code: 'policy.permit', policy: 'p1' }],
      obligations: [],
      advice: [],
      decision_id: '019a0000-0000-7000-8000-000000000001',
      release: `sha256:${'ab'.repeat(32)}`,
      expires_at: '2026-11-21T12:01:00Z',
    })
    expect(header(answer, 'x-decision-id')).toBe('019a0000-0000-7000-8000-000000000001')
  })
})

describe('an AuthZEN evaluation', () => {
  test('is answered with nothing but the decision', async () => {
    const { port } = await start()
    const body = JSON.stringify({
      subject: { type: 'user', id: 'alice' },
      action: { name: 'read' },
      resource: { type: 'record', id: 'record-1' },
    })
    const answer = await request(
      port,
      'POST',
      '/access/v1/evaluation',
      [...AUTH, ['x-request-id', 'r-1']],
      body,
    )
    expect(answer.status).toBe(200)
    expect(answer.body).toBe('{"decision":true}')
    expect(header(answer, 'x-request-id')).toBe('r-1')
  })
})
