import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { IDENTITY_HEADERS } from '#gateways/headers.ts'
import { createWarder, type DecideRequest, type Warder } from '../../integrations/client-ts/client.ts'
import { allowWith, type ScriptedAnswer, type ScriptedPdp, startScriptedPdp } from '../e2e/scripted-pdp.ts'

const KEY = `wgk_${'k'.repeat(43)}`
const QUESTION: DecideRequest = { tool: 'github/list_repos', credentials: { access_token: 't' } }
const CALL = {
  method: 'GET',
  target: '/repos',
  host: 'api.test',
  scheme: 'http',
  headers: [['authorization', 'Bearer t']],
} as const

/** Every name under which Warder reads something that only a gateway may say. */
const ONLY_A_GATEWAYS = [
  ...IDENTITY_HEADERS,
  ...['gateway-key', 'reason', 'obligations', 'authorization', 'anything'].map((name) => `x-warder-${name}`),
  ...['method', 'uri', 'host', 'proto', 'client-cert'].map((name) => `x-forwarded-${name}`),
  ...['method', 'uri', 'url', 'content-length'].map((name) => `x-original-${name}`),
  ...['x-ssl-client-cert', 'x-ssl-client-verify', 'client-cert', 'client-cert-chain'],
]

/** A whole decision with some members changed; undefined leaves one out. */
function decision(changed: Readonly<Record<string, unknown>> = {}): ScriptedAnswer {
  const whole = {
    decision: 'allow',
    reasons: [{ code: 'policy.permit' }],
    obligations: [],
    advice: [],
    decision_id: '019a0000-0000-7000-8000-000000000001',
    release: null,
    expires_at: new Date(Date.now() + 60_000).toISOString(),
  }
  return answer(200, JSON.stringify({ ...whole, ...changed }))
}

function answer(status: number, body: string): ScriptedAnswer {
  return { status, headers: ['content-type', 'application/json'], body }
}

let pdp: ScriptedPdp
let warder: Warder
beforeAll(async () => {
  pdp = await startScriptedPdp()
  warder = createWarder({ url: `http://127.0.0.1:${pdp.port}/`, gatewayKey: KEY })
})
afterAll(async () => {
  warder.close()
  await pdp.close()
})
beforeEach(() => {
  pdp.answer = decision()
  pdp.forget()
})

describe('an answer that is not in every part a decision is a deny', () => {
  test('a whole one allows, so that a deny means something', async () => {
    expect(await warder.decide(QUESTION)).toMatchObject({ decision: 'allow' })
  })

  const broken: readonly (readonly [string, ScriptedAnswer])[] = [
    ['201', { ...decision(), status: 201 }],
    ['302', { ...decision(), status: 302, headers: ['location', '/elsewhere'] }],
    ['500 with an allow', { ...decision(), status: 500 }],
    ['503 with an allow', { ...decision(), status: 503 }],
    ['no JSON', answer(200, 'allow')],
    ['null', answer(200, 'null')],
    ['true', answer(200, 'true')],
    ['a list', answer(200, '[{"decision":"allow"}]')],
    ['decision true', decision({ decision: true })],
    ['decision ALLOW', decision({ decision: 'ALLOW' })],
    ['no decision id', decision({ decision_id: undefined })],
    ['no obligations', decision({ obligations: undefined })],
    ['obligations null', decision({ obligations: null })],
    ['an obligation without a type', decision({ obligations: [{ policies: [] }] })],
    ['an obligation that is a text', decision({ obligations: ['audit'] })],
  ]
  test.each(broken)('%s', async (_what, given) => {
    pdp.answer = given
    expect(await warder.decide(QUESTION)).toMatchObject({
      decision: 'deny',
      reasons: [{ code: 'client.unavailable' }],
    })
  })

  test('nobody there', async () => {
    const alone = createWarder({ url: 'http://127.0.0.1:1', gatewayKey: KEY })
    expect(await alone.decide(QUESTION)).toMatchObject({ decision: 'deny' })
    expect(await alone.check(CALL)).toMatchObject({ allowed: false, status: 503 })
  })

  test.each(['ftp://127.0.0.1', 'not a url'])('`%s` as its place is refused at once', (url) => {
    expect(() => createWarder({ url, gatewayKey: KEY })).toThrow(TypeError)
  })
})

describe('obligations', () => {
  const redacting = decision({
    obligations: [{ type: 'redact', fields: ['a'], in: 'result', policies: ['p'] }],
  })

  test('one that the caller does not carry out is a deny', async () => {
    pdp.answer = redacting
    const given = await warder.decide(QUESTION)
    expect(given).toMatchObject({ decision: 'deny', reasons: [{ code: 'obligation.unsupported' }] })
    expect(await warder.decide(QUESTION, ['redact'])).toMatchObject({ decision: 'allow' })
  })

  test('what Warder carries out itself needs nobody', async () => {
    pdp.answer = decision({ obligations: [{ type: 'audit', level: 'info', policies: [] }] })
    expect(await warder.decide(QUESTION)).toMatchObject({ decision: 'allow' })
  })
})

describe('repeats', () => {
  const keys = () => pdp.questions.map(({ headers }) => new Map(headers).get('idempotency-key'))

  test.each<DecideRequest>([
    QUESTION,
    { ...QUESTION, proofs: { dpop: ['proof'] } },
    { ...QUESTION, request: { id: 'mine' } },
  ])(
    'a question that was not answered is asked once more, word for word, under the same key',
    async (each) => {
      pdp.answer = answer(503, '{}')
      await warder.decide(each)
      const [first, second, third] = pdp.questions.map(({ body }) => body.toString())
      expect(first).toBeDefined()
      expect([second, third]).toEqual([first, undefined])
      expect(keys()[0]).toMatch(/^"[0-9a-f-]{36}"$/)
      expect(keys()[1]).toBe(keys()[0])
    },
  )

  test('each question has a key of its own, also under an id of the caller’s', async () => {
    for (let i = 0; i < 2; i++) await warder.decide({ ...QUESTION, request: { id: 'mine' } })
    expect(new Set(keys()).size).toBe(2)
  })

  test('a deny and a refusal are answers, and are not repeated', async () => {
    for (const given of [decision({ decision: 'deny' }), answer(400, '{}'), answer(401, '{}')]) {
      pdp.answer = given
      pdp.forget()
      expect(await warder.decide(QUESTION)).toMatchObject({ decision: 'deny' })
      expect(pdp.questions).toHaveLength(1)
    }
  })
})

test('without following revocations no allow is used twice, whatever it says', async () => {
  pdp.answer = decision({ obligations: [{ type: 'max_age', seconds: 60, policies: ['p'] }] })
  await warder.decide(QUESTION)
  await warder.decide(QUESTION)
  expect(pdp.questions).toHaveLength(2)
})

describe('an HTTP call', () => {
  const broken: readonly (readonly [string, ScriptedAnswer])[] = [
    ['a 204', { ...allowWith(), status: 204 }],
    ['a 302', { ...allowWith(), status: 302 }],
    ['no decision id', allowWith({ 'x-decision-id': undefined })],
    ['no obligations', allowWith({ 'x-warder-obligations': undefined })],
    ['obligations that are no list', allowWith({ 'x-warder-obligations': '{}' })],
    ['obligations that are no JSON', allowWith({ 'x-warder-obligations': '[' })],
    ['an obligation that nobody knows', allowWith({ 'x-warder-obligations': '[{"type":"dance"}]' })],
    ['an exchange of tokens', allowWith({ 'x-warder-obligations': '[{"type":"token_exchange"}]' })],
    ['an unknown word for the token', allowWith({ 'x-warder-authorization': 'maybe' })],
    ['a broken name', allowWith({ 'x-warder-agent': '%zz' })],
    ['401 without a decision', answer(401, '{}')],
  ]
  test.each(broken)('with %s is not allowed', async (_what, given) => {
    pdp.answer = given
    expect(await warder.check(CALL)).toMatchObject({ allowed: false, status: 503 })
  })

  test('arrives as it was sent; what only a gateway may say does not come from the client', async () => {
    pdp.answer = allowWith({ 'x-agent-purpose': 'read' })
    const forged = ONLY_A_GATEWAYS.map((name): [string, string] => [name, 'forged'])
    const headers: readonly (readonly [string, string])[] = [
      ...CALL.headers,
      ...forged,
      ['x-warder-reason', 'forged'],
      ['DPoP', 'a'],
    ]
    const given = await warder.check({ ...CALL, target: '/repos/a%20b?x=1', headers })
    const asked = new Map(pdp.last().headers)
    expect(Object.fromEntries(asked)).toMatchObject({
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/repos/a%20b?x=1',
      'x-forwarded-host': 'api.test',
      'x-warder-gateway-key': KEY,
      dpop: 'a',
    })
    expect([...asked.values()]).not.toContain('forged')
    expect(given).toMatchObject({ allowed: true, agent: 'triage-bot', user: 'alice' })
    const changed = given.allowed ? given.headers : new Map()
    expect(changed.get('x-agent-purpose')).toBe('read')
    expect(changed.get('x-warder-reason')).toBe('policy.permit')
    // What a proxy in front says of its own client in `X-Forwarded-*` is the handler's business, but not who that client is.
    const kept = /^x-forwarded-(?!client-cert)/
    for (const name of ONLY_A_GATEWAYS.filter((each) => !kept.test(each))) {
      expect([name, changed.has(name)]).toEqual([name, true])
      expect([name, changed.get(name)]).not.toEqual([name, 'forged'])
    }
  })

  test.each(['x_warder_user', 'X_Forwarded-Client_Cert', 'x_ssl_client_cert', 'x-original_uri'])(
    'the alias %s is not for the handler either',
    async (name) => {
      pdp.answer = allowWith({})
      const given = await warder.check({ ...CALL, headers: [...CALL.headers, [name, 'forged']] })
      const changed = given.allowed ? [...given.headers] : []
      expect(changed).toContainEqual([name.toLowerCase(), undefined])
    },
  )

  test('a token that is to be stripped is not for the handler, nor is its proof', async () => {
    pdp.answer = allowWith({
      'x-warder-authorization': 'strip',
      'x-warder-obligations': '[{"type":"strip_authorization","properties":{}}]',
    })
    const given = await warder.check(CALL)
    const changed = given.allowed ? [...given.headers] : []
    expect(changed).toContainEqual(['authorization', undefined])
    expect(changed).toContainEqual(['dpop', undefined])
  })
})
