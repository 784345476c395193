import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMetrics } from '#http/metrics.ts'
import { fakeDecider, findGateway, frozenClock, GATEWAY_KEY } from '../support/fake-decider.ts'
import { request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.c2VjcmV0LXBheWxvYWQ.c2lnbmF0dXJl'
const API_KEY = `wak_${'c2VjcmV0LWtleQ'.repeat(3)}x`
const OTHER_KEY = 'wgk_unknown_key_0123456789'

const metrics = createMetrics()
const decider = fakeDecider()
const written: string[] = []
let decision: WireListener
let envoy: WireListener

beforeAll(async () => {
  const parts = { decider, findGateway, clock: frozenClock, metrics }
  decision = await startListener('decision', {
    ...parts,
    onUnauthenticated: (count) => written.push(String(count)),
  })
  envoy = await startListener('ext-authz', {
    ...parts,
    onUnauthenticated: (count) => written.push(String(count)),
  })
})
afterAll(() => Promise.all([decision, envoy].map(({ listener }) => listener.close(0))))

test('no key and no token is in an answer, a metric, a report, a refusal or what a decider is asked', async () => {
  const call = [
    ['x-forwarded-method', 'GET'],
    ['x-forwarded-uri', '/x'],
  ] as const
  const key = ['authorization', `Bearer ${GATEWAY_KEY}`] as const
  const json = ['content-type', 'application/json'] as const
  const agent = ['authorization', `Bearer ${TOKEN}`] as const
  const answers = await Promise.all([
    request(
      decision.port,
      'POST',
      '/v1/decide',
      [key, json],
      JSON.stringify({ tool: 's/t', credentials: { access_token: TOKEN } }),
    ),
    request(
      decision.port,
      'POST',
      '/v1/decide',
      [key, json],
      JSON.stringify({ tool: 's/t', credentials: { access_tokn: TOKEN } }),
    ),
    request(
      decision.port,
      'POST',
      '/v1/decide',
      [key, json],
      JSON.stringify({ tool: 's/t', credentials: TOKEN }),
    ),
    request(
      decision.port,
      'POST',
      '/v1/decide',
      [key, json],
      `{"tool":"s/t","credentials":{"access_token":"${TOKEN}"`,
    ),
    request(decision.port, 'POST', '/v1/decide', [json, ['authorization', `Bearer ${OTHER_KEY}`]], '{}'),
    request(decision.port, 'GET', `/g/${OTHER_KEY}/forward-auth`, call),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/nothing`, call),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, [...call, agent]),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, [...call, agent, agent]),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, [...call, ['x-api-key', API_KEY]]),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, [
      ...call,
      ['authorization', `Bearer ${API_KEY}`],
    ]),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, [...call, ['authorization', API_KEY]]),
    request(decision.port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, [...call, ['authorization', TOKEN]]),
    request(envoy.port, 'GET', `/g/${GATEWAY_KEY}/../x`, [agent]),
    request(envoy.port, 'GET', '/deny', [agent, ['x-warder-gateway-key', GATEWAY_KEY]]),
  ])
  const asked = decider.asked.map(({ credentials: _credentials, ...rest }) => rest)
  const everything = JSON.stringify([answers, asked, decider.refused, written, await metrics.text()])
  for (const secret of [GATEWAY_KEY, OTHER_KEY, API_KEY, TOKEN, 'c2VjcmV0'])
    expect(everything).not.toContain(secret)
  expect(decider.asked.flatMap(({ credentials }) => credentials).length).toBeGreaterThan(2)
})

test('an unknown, a malformed and a missing key get the same bytes', async () => {
  const ask = (headers: readonly (readonly [string, string])[], target = '/v1/decide') =>
    request(decision.port, 'POST', target, headers)
  const answers = await Promise.all([
    ask([]),
    ask([['authorization', `Bearer ${OTHER_KEY}`]]),
    ask([['authorization', 'Basic x']]),
    ask([], `/g/${OTHER_KEY}/v1/decide`),
    ask([], '/g//v1/decide'),
  ])
  const bytes = new Set(answers.map((answer) => answer.bytes.replace(/^date: .*$/im, '')))
  expect(bytes.size).toBe(1)
})
