import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import type { RunningGateway } from './gateway-process.ts'
import { type Answer, type Call, send } from './http.ts'
import { kongPdkStarter, type PluginSettings } from './kong-process.ts'
import { describeFound, findNginxLua } from './optional-binaries.ts'
import { ALLOW, allowWith, type ScriptedAnswer, type ScriptedPdp, startScriptedPdp } from './scripted-pdp.ts'
import { startUpstream, type Upstream } from './upstream.ts'

const lua = await findNginxLua()
const KEY = `wgk_${'k'.repeat(43)}`
const UNAVAILABLE = '{"error":"authorizer_unavailable"}'
const DECISION_ID = ALLOW['x-decision-id'] ?? ''

/** What the decision point can answer that is no allow, whatever its status says. */
const NO_ALLOW: readonly (readonly [string, ScriptedAnswer, number])[] = [
  ...Object.keys(ALLOW).map(
    (name) => [`200 without ${name}`, allowWith({ [name]: undefined }), 503] as const,
  ),
  ['200 with an empty decision id', allowWith({ 'x-decision-id': '' }), 503],
  ['200 of some web page', { status: 200, headers: ['content-type', 'text/html'], body: 'hello' }, 503],
  ['204 with everything else', { ...allowWith(), status: 204 }, 503],
  ['302 with everything else', { ...allowWith(), status: 302 }, 503],
  ['500 with everything else', { ...allowWith(), status: 500 }, 503],
  [
    'two decisions in one',
    { status: 200, headers: [...allowWith().headers, 'x-warder-authorization', 'keep'] },
    503,
  ],
  ['an authorization that is neither keep nor strip', allowWith({ 'x-warder-authorization': 'null' }), 503],
  ['obligations that are no JSON', allowWith({ 'x-warder-obligations': '[{' }), 503],
  ['obligations that are no list', allowWith({ 'x-warder-obligations': '{"type":"audit"}' }), 503],
  ['obligations that are null', allowWith({ 'x-warder-obligations': 'null' }), 503],
  ['an empty list of obligations', allowWith({ 'x-warder-obligations': '[]' }), 503],
  ['an obligation without a type', allowWith({ 'x-warder-obligations': '[{"type":null}]' }), 503],
  ['an obligation that nobody knows', allowWith({ 'x-warder-obligations': '[{"type":"dance"}]' }), 403],
  [
    'a redaction, which it can not do',
    allowWith({ 'x-warder-obligations': '[{"type":"redact","properties":{"fields":["a"],"in":"result"}}]' }),
    403,
  ],
  [
    'a token exchange without a token',
    allowWith({
      'x-warder-obligations': '[{"type":"token_exchange","properties":{"audience":"a"}}]',
      'x-warder-authorization': 'strip',
    }),
    403,
  ],
  [
    'strip_authorization that is not to be stripped',
    allowWith({ 'x-warder-obligations': '[{"type":"strip_authorization","properties":{}}]' }),
    403,
  ],
  [
    'set_header without a value',
    allowWith({ 'x-warder-obligations': '[{"type":"set_header","properties":{"name":"x-a"}}]' }),
    403,
  ],
  [
    'set_header of the host',
    allowWith({ 'x-warder-obligations': '[{"type":"set_header","properties":{"name":"Host","value":"x"}}]' }),
    403,
  ],
]

const isLeftOut = !('found' in lua)
let pdp: ScriptedPdp
let upstream: Upstream
const running: RunningGateway[] = []
let port = 0

async function start(settings: PluginSettings): Promise<number> {
  const place = { key: KEY, decisionPort: pdp.port, extAuthzPort: pdp.port, upstreamPort: upstream.port }
  const starter = kongPdkStarter(inject('nginx'), 'found' in lua ? lua.found : '', settings)
  const gateway = await starter(place)
  running.push(gateway)
  return gateway.port
}

function ask(call: Partial<Call> = {}, at = port): Promise<Answer> {
  const headers = { authorization: 'Bearer t', ...call.headers }
  return send(at, { path: '/repos', ...call, headers })
}

beforeAll(async () => {
  if (isLeftOut) return
  pdp = await startScriptedPdp()
  upstream = await startUpstream()
  port = await start({})
})

afterAll(async () => {
  for (const each of running) await each.stop()
  if (isLeftOut) return
  await upstream.close()
  await pdp.close()
})

beforeEach(() => {
  if (isLeftOut) return
  pdp.answer = allowWith()
  pdp.forget()
  upstream.forget()
})

describeFound('what the Kong plugin takes for an allow', lua, () => {
  test('a plain allow passes, so that a deny means something', async () => {
    expect((await ask()).status).toBe(200)
    expect(upstream.received).toHaveLength(1)
  })

  test.each(NO_ALLOW)('%s lets nothing pass', async (_what, answer, status) => {
    pdp.answer = answer
    const got = await ask()
    expect(got.status).toBe(status)
    if (status === 503) expect(got.body).toBe(UNAVAILABLE)
    else expect(got.body).toContain('obligation.unsupported')
    expect(upstream.received).toEqual([])
  })

  test('a status of the client error kind without a decision is 503, because nobody decided', async () => {
    pdp.answer = { status: 401, headers: ['content-type', 'application/json'], body: '{}' }
    expect(await ask()).toMatchObject({ status: 503, body: UNAVAILABLE })
  })

  test('a deny comes back with its status, body and headers', async () => {
    const headers = {
      'x-decision-id': DECISION_ID,
      'retry-after': '7',
      'www-authenticate': 'Bearer',
      server: 'pdp',
    }
    pdp.answer = { status: 429, headers: Object.entries(headers).flat(), body: '{"decision":"deny"}' }
    const answer = await ask()
    expect(answer).toMatchObject({ status: 429, body: '{"decision":"deny"}' })
    expect(answer.headers).toMatchObject({
      'x-decision-id': DECISION_ID,
      'retry-after': '7',
      'www-authenticate': 'Bearer',
      'content-type': 'application/json',
      'cache-control': 'no-store',
    })
    expect(answer.headers['server']).not.toBe('pdp')
    expect(upstream.received).toEqual([])
  })
})

describeFound('what the Kong plugin asks', lua, () => {
  test('the call arrives as it was sent, and what only a gateway may say is the gateway’s', async () => {
    const headers = {
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/other',
      'x-forwarded-host': 'other.test',
      'x-original-url': 'http://other.test/',
      'x-original-content-length': '0',
      'x-forwarded-client-cert': 'forged',
      'x-ssl-client-cert': 'forged',
      'client-cert': 'forged',
      'x-warder-gateway-key': 'forged',
      cookie: 'secret=1',
      dpop: 'proof',
      'mcp-name': 'read_file',
    }
    const path = '/repos/a%20b?x=1&y=%2f'
    await ask({ method: 'DELETE', path, headers })
    const { method, url, headers: asked } = pdp.last()
    expect({ method, url }).toEqual({ method: 'POST', url: '/forward-auth' })
    const sent = new Map(asked)
    expect(Object.fromEntries(sent)).toMatchObject({
      'x-forwarded-method': 'DELETE',
      'x-forwarded-uri': path,
      'x-forwarded-proto': 'http',
      'x-forwarded-host': expect.stringContaining('127.0.0.1'),
      'x-warder-gateway-key': KEY,
      authorization: 'Bearer t',
      dpop: 'proof',
      'mcp-name': 'read_file',
    })
    const certificates = ['x-forwarded-client-cert', 'x-ssl-client-cert', 'client-cert']
    for (const name of ['cookie', 'x-original-url', 'x-original-content-length', ...certificates])
      expect(sent.has(name)).toBe(false)
    for (const name of ['x-original-url', ...certificates, 'x-warder-gateway-key'])
      expect(upstream.last().headers).not.toHaveProperty(name)
    expect(upstream.last().headers).toMatchObject({ cookie: 'secret=1' })
  })

  test('every copy of a repeated header arrives', async () => {
    await ask({ headers: { dpop: ['one', 'two'] } })
    expect(pdp.last().headers.filter(([name]) => name === 'dpop')).toEqual([
      ['dpop', 'one'],
      ['dpop', 'two'],
    ])
  })

  test('more headers than are read are refused: the rest would be unseen', async () => {
    const headers = Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`x-${i}`, '1']))
    expect((await ask({ headers })).status).toBe(431)
    expect([...pdp.questions, ...upstream.received]).toEqual([])
  })

  test.each<[string, PluginSettings]>([
    ['an unknown setting', { fail_open: true }],
    ['no time', { timeout_milliseconds: 0 }],
    ['a body that is too long for any Warder', { body_bytes_max: 1e9 }],
  ])('the schema refuses %s', async (_what, settings) => {
    await expect(start(settings)).rejects.toThrow()
  })
})

describeFound('what a client says in Warder’s name', lua, () => {
  test('is told to Warder under names in which Warder believes nobody', async () => {
    const headers = {
      'X-Warder-Agent': 'forged',
      'x-warder-user': ['forged', 'forged'],
      'x-warder-anything': 'forged',
      'x-warder-reason': 'forged',
      'x-warder-obligations': 'forged',
      'x-warder-authorization': 'forged',
    }
    await ask({ headers })
    const told = pdp.last().headers.filter(([name]) => /^x[-_]warder/.test(name))
    expect([...new Set(told.map(([name]) => name))].toSorted()).toEqual([
      'x-warder-gateway-key',
      'x_warder_agent',
      'x_warder_anything',
      'x_warder_user',
    ])
    expect(JSON.stringify(upstream.last().headers)).not.toContain('forged')
  })
})

describeFound('what the Kong plugin carries out', lua, () => {
  test('a token that Warder exchanged replaces the client’s, whose proof goes with it', async () => {
    pdp.answer = allowWith({
      'x-warder-obligations': '[{"type":"token_exchange","properties":{"audience":"a"}}]',
      'x-warder-authorization': 'strip',
      authorization: 'Bearer exchanged',
    })
    await ask({ headers: { dpop: 'proof' } })
    expect(upstream.last().headers['authorization']).toBe('Bearer exchanged')
    expect(upstream.last().headers).not.toHaveProperty('dpop')
  })

  test('an Authorization that no obligation announced changes nothing', async () => {
    pdp.answer = allowWith({ authorization: 'Bearer other' })
    await ask()
    expect(upstream.last().headers['authorization']).toBe('Bearer t')
  })

  test('a header that policies could set and did not set is taken from the client', async () => {
    pdp.answer = allowWith({ 'x-agent-purpose': 'none' })
    await ask({ headers: { 'x-agent-purpose': 'forged' } })
    expect(upstream.last().headers).not.toHaveProperty('x-agent-purpose')
  })

  test('a nonce and a rate limit reach the client of an allowed call', async () => {
    pdp.answer = allowWith({ 'dpop-nonce': 'n1', ratelimit: '"agent";r=3;t=10' })
    expect((await ask()).headers).toMatchObject({
      'dpop-nonce': 'n1',
      ratelimit: '"agent";r=3;t=10',
      'x-decision-id': DECISION_ID,
    })
  })
})

describeFound('bodies in the Kong plugin', lua, () => {
  test.each([
    ['small', 100],
    ['one that nginx puts into a file', 50_000],
    ['as long as allowed', 1_048_576],
  ])('%s: Warder and the API get all of it', async (_what, length) => {
    const body = 'b'.repeat(length)
    expect((await ask({ method: 'POST', body })).status).toBe(200)
    expect(pdp.last().body.toString() === body).toBe(true)
    expect(upstream.last().headers['content-length']).toBe(String(length))
  })

  test('a chunked one arrives whole', async () => {
    const body = 'b'.repeat(50_000)
    expect((await ask({ method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } })).status).toBe(
      200,
    )
    expect(pdp.last().body.toString() === body).toBe(true)
  })

  test.each([{}, { 'transfer-encoding': 'chunked' }])(
    'a longer one is refused unseen: %o',
    async (headers) => {
      const body = 'b'.repeat(1_048_577)
      expect(await ask({ method: 'POST', body, headers })).toMatchObject({ status: 413 })
      expect([...pdp.questions, ...upstream.received]).toEqual([])
    },
  )

  test('a Kong that can not read it from a file refuses it, and is no way around', async () => {
    const old = await start({ is_old: true })
    expect((await ask({ method: 'POST', body: 'b'.repeat(100) }, old)).status).toBe(200)
    pdp.forget()
    upstream.forget()
    expect((await ask({ method: 'POST', body: 'b'.repeat(50_000) }, old)).status).toBe(413)
    expect([...pdp.questions, ...upstream.received]).toEqual([])
  })

  test('with a length of 0 none is shown, and the API gets it', async () => {
    const without = await start({ body_bytes_max: 0 })
    expect((await ask({ method: 'POST', body: 'b'.repeat(50_000) }, without)).status).toBe(200)
    expect(pdp.last().body.length).toBe(0)
    expect(upstream.last().headers['content-length']).toBe('50000')
  })
})
