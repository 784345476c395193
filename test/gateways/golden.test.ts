import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Decision } from '#model/decision.ts'
import { fakeDecider, GATEWAY_KEY, obligation } from '../support/fake-decider.ts'
import { exchange } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

// The bytes of each answer without the line `date`, with line feeds alone. `vitest run -u` writes them anew.
const JSON_TYPE = 'Content-Type: application/json'
const KEY = `Authorization: Bearer ${GATEWAY_KEY}`
const EVALUATION =
  '{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"r"}}'
const CALL = 'X-Forwarded-Method: GET\nX-Forwarded-Uri: /todos'

const OBLIGATIONS: Partial<Decision> = {
  obligations: [
    obligation('redact', { fields: ['iban'], in: 'result' }),
    obligation('set_header', { name: 'X-Team', value: 'blue' }),
    obligation('strip_authorization', {}),
  ],
  advice: [{ text: 'ask for less', policy: 'p2' }],
}

interface Golden {
  readonly kind?: 'ext-authz'
  readonly request: string
  readonly headers?: string
  readonly body?: string
  readonly answer?: Partial<Decision>
}

const CASES: Readonly<Record<string, Golden>> = {
  'native/allow': {
    request: 'POST /v1/decide',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: '{"agent":"a","tool":"s/t"}',
  },
  'native/allow-with-obligations': {
    request: 'POST /v1/decide',
    headers: `${KEY}\n${JSON_TYPE}\nX-Request-ID: r-1`,
    body: '{"agent":"a","tool":"s/t"}',
    answer: OBLIGATIONS,
  },
  'native/deny': {
    request: 'POST /v1/decide',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: '{"agent":"a","tool":"s/deny"}',
  },
  'native/batch-with-broken-item': {
    request: 'POST /v1/decide/batch',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: '{"requests":[{"tool":"s/t"},{"tol":"s/t"},{"tool":"s/deny"}]}',
  },
  'native/unknown-field': {
    request: 'POST /v1/decide',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: '{"agents":"a"}',
  },
  'native/unauthenticated': { request: 'POST /v1/decide', headers: JSON_TYPE, body: '{}' },
  'native/method-not-allowed': { request: 'GET /v1/decide', headers: KEY },
  'native/not-found': { request: 'GET /nothing' },
  'authzen/allow': {
    request: 'POST /access/v1/evaluation',
    headers: `${KEY}\n${JSON_TYPE}\nX-Request-ID: r-1`,
    body: EVALUATION,
  },
  'authzen/allow-with-obligations': {
    request: 'POST /access/v1/evaluation',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: EVALUATION,
    answer: OBLIGATIONS,
  },
  'authzen/missing-subject': {
    request: 'POST /access/v1/evaluation',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: '{}',
  },
  'authzen/wrong-media-type': {
    request: 'POST /access/v1/evaluation',
    headers: `${KEY}\nContent-Type: text/plain`,
    body: EVALUATION,
  },
  'authzen/unauthenticated': { request: 'POST /access/v1/evaluation', headers: JSON_TYPE, body: EVALUATION },
  'authzen/evaluations': {
    request: 'POST /access/v1/evaluations',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: `{${EVALUATION.slice(1, -1)},"evaluations":[{},{"resource":{}},{"action":{"name":"deny"}}]}`,
  },
  'authzen/deny-on-first-deny': {
    request: 'POST /access/v1/evaluations',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: `{${EVALUATION.slice(1, -1)},"evaluations":[{},{"resource":{}},{}],"options":{"evaluations_semantic":"deny_on_first_deny"}}`,
  },
  'authzen/permit-on-first-permit': {
    request: 'POST /access/v1/evaluations',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: `{${EVALUATION.slice(1, -1)},"evaluations":[{"resource":{}},{"action":{"name":"deny"}},{},{}],"options":{"evaluations_semantic":"permit_on_first_permit"}}`,
  },
  'authzen/empty-evaluations': {
    request: 'POST /access/v1/evaluations',
    headers: `${KEY}\n${JSON_TYPE}`,
    body: `{${EVALUATION.slice(1, -1)},"evaluations":[]}`,
  },
  'authzen/metadata': { request: 'GET /.well-known/authzen-configuration/pdp', headers: 'X-Request-ID: r-2' },
  'forward-auth/allow': { request: `GET /g/${GATEWAY_KEY}/forward-auth`, headers: CALL },
  'forward-auth/allow-with-obligations': {
    request: `GET /g/${GATEWAY_KEY}/forward-auth`,
    headers: `${CALL}\nX-Request-ID: r-3`,
    answer: { ...OBLIGATIONS, identity: { agent: 'spiffe://acme/a', user: 'Zoë' } },
  },
  'forward-auth/deny': {
    request: `GET /g/${GATEWAY_KEY}/forward-auth`,
    headers: 'X-Forwarded-Method: GET\nX-Forwarded-Uri: /deny',
  },
  'forward-auth/two-families': {
    request: `GET /g/${GATEWAY_KEY}/forward-auth`,
    headers: `${CALL}\nX-Original-URI: /`,
  },
  'forward-auth/credentials-missing': {
    request: 'HEAD /forward-auth',
    headers: `X-Warder-Gateway-Key: ${GATEWAY_KEY}\n${CALL}`,
    answer: { effect: 'deny', reasons: [{ code: 'credentials.missing' }] },
  },
  'forward-auth/unauthenticated': { request: 'GET /g/wgk_test_unknown_unknown/forward-auth', headers: CALL },
  'envoy-http/allow': {
    kind: 'ext-authz',
    request: `PUT /g/${GATEWAY_KEY}/todos/7?x=1`,
    answer: OBLIGATIONS,
  },
  'envoy-http/deny': {
    kind: 'ext-authz',
    request: `GET /deny`,
    headers: `X-Warder-Gateway-Key: ${GATEWAY_KEY}`,
  },
  'envoy-http/climbing-path': { kind: 'ext-authz', request: `GET /g/${GATEWAY_KEY}/../livez` },
}

const running: WireListener[] = []
let answers: (name: string) => Promise<string>

beforeAll(() => {
  answers = async (name) => {
    const { kind, request, headers, body = '', answer } = CASES[name] ?? { request: '' }
    const started = await startListener(kind ?? 'decision', {
      decider: fakeDecider(answer),
      publicUrl: 'https://authz.acme.test/pdp',
    })
    running.push(started)
    const lines = [`${request} HTTP/1.1`, 'Host: pdp.test', 'Connection: close']
    if (headers !== undefined) lines.push(...headers.split('\n'))
    if (body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
    const bytes = await exchange(started.port, `${lines.join('\r\n')}\r\n\r\n${body}`)
    return bytes.replaceAll('\r\n', '\n').replace(/^date: .*\n/im, '')
  }
})
afterAll(() => Promise.all(running.map(({ listener }) => listener.close(0))))

test.each(Object.keys(CASES))('the bytes of %s stay as they are', async (name) => {
  await expect(`${await answers(name)}\n`).toMatchFileSnapshot(`../golden/${name}.http`)
})
