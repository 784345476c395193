import { describe, expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { Challenge } from '#model/challenge.ts'
import type { Decision } from '#model/decision.ts'
import type { DecisionId } from '#model/ids.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import { decision, GATEWAY, NOW } from '../support/fake-decider.ts'
import { wire } from '../support/wire.ts'

type Headers = readonly (readonly [string, string])[]
const CALL: Headers = [
  ['X-Forwarded-Method', 'GET'],
  ['X-Forwarded-Uri', '/todos?x=1'],
]

const DIALECTS = [
  [
    'forward-auth',
    (headers: Headers) =>
      forwardAuth.read(
        wire({ method: 'GET', target: '/forward-auth', headers: [...CALL, ...headers] }),
        GATEWAY,
        NOW,
      ),
  ],
  [
    'envoy-http',
    (headers: Headers) =>
      envoyHttp.read(wire({ method: 'GET', target: '/todos?x=1', headers }), GATEWAY, NOW),
  ],
] as const

const proofsIn = (read: ReturnType<(typeof DIALECTS)[number][1]>): AuthorizationRequest['proofs'] | string =>
  read.ok ? read.value.requests[0]?.proofs : read.failure.code

describe.each(DIALECTS)('proofs in %s', (_name, read) => {
  test('none are undefined', () => {
    expect(proofsIn(read([['Authorization', 'Bearer x']]))).toBeUndefined()
  })

  test('are kept verbatim, duplicates too', () => {
    const headers: Headers = [
      ['DPoP', 'a'],
      ['dpop', 'b, c'],
      ['Workload-Identity-Token', 'w'],
      ['Workload-Proof-Token', 'p'],
      ['Txn-Token', 't'],
      ['X-Forwarded-Client-Cert', 'Hash=1,Hash=2'],
      ['X-SSL-Client-Cert', 'n'],
      ['X-SSL-Client-Verify', 'SUCCESS'],
      ['Client-Cert', ':AA==:'],
      ['Client-Cert-Chain', ':BB==:'],
    ]
    expect(proofsIn(read(headers))).toEqual({
      dpop: ['a', 'b, c'],
      workloadToken: ['w'],
      workloadProof: ['p'],
      transactionToken: ['t'],
      certificates: [
        { source: 'xfcc', value: 'Hash=1,Hash=2' },
        { source: 'nginx', value: 'n', verified: 'SUCCESS' },
        { source: 'rfc9440', value: ':AA==:', chain: ':BB==:' },
      ],
    })
  })

  test.each(['X-Forwarded-Client-Cert', 'X-SSL-Client-Cert', 'X-SSL-Client-Verify', 'Client-Cert'])(
    '%s that occurs twice is a conflict',
    (name) => {
      const twice: Headers = [
        [name, 'a'],
        [name.toLowerCase(), 'a'],
      ]
      expect(proofsIn(read(twice))).toBe('request.header_conflict')
    },
  )

  test.each([
    'x_ssl_client_cert',
    'x-ssl_client-cert',
    'x_forwarded_client_cert',
    'client_cert',
    'txn_token',
  ])('%s, which some servers take for a proof, is a conflict', (name) => {
    expect(proofsIn(read([[name, 'a']]))).toBe('request.header_conflict')
  })

  test('a signature brings all headers along', () => {
    const proofs = proofsIn(read([['Signature-Input', 's=()']]))
    expect(proofs).toMatchObject({ signedHeaders: expect.arrayContaining([['signature-input', 's=()']]) })
  })
})

const FIELDS = {
  call: { method: 'POST', path: '/mcp?x=1', host: 'API.example.com' },
  dpop: ['a'],
  certificate: { source: 'envoy', value: 'c' },
  workload_token: ['w'],
  workload_proof: ['p'],
  transaction_token: ['t'],
  headers: [['Signature', 's']],
}
const READ = {
  call: { method: 'POST', path: '/mcp', host: 'api.example.com', query: '?x=1' },
  dpop: ['a'],
  certificates: [{ source: 'envoy', value: 'c' }],
  workloadToken: ['w'],
  workloadProof: ['p'],
  transactionToken: ['t'],
  signedHeaders: [['signature', 's']],
}

const readNative = (body: object) =>
  native.read(
    wire({ method: 'POST', target: '/v1/decide', headers: JSON_TYPE, body: JSON.stringify(body) }),
    GATEWAY,
    NOW,
  )
const readAuthzen = (context: object) =>
  authzen.read(
    wire({
      method: 'POST',
      target: '/access/v1/evaluation',
      headers: JSON_TYPE,
      body: JSON.stringify({
        subject: { type: 'agent', id: 'a' },
        action: { name: 'call' },
        resource: { type: 'tool', id: 's/t' },
        context,
      }),
    }),
    GATEWAY,
    NOW,
  )
const JSON_TYPE: Headers = [['content-type', 'application/json']]
const first = (read: ReturnType<typeof readNative>) => (read.ok ? read.value.requests[0] : read.failure)

describe('proofs in a body', () => {
  const credentials = { access_token: 'x', token_type: 'DPoP' }

  test('are read with the scheme of the token, native and AuthZEN alike', () => {
    const wanted = { proofs: READ, credentials: [{ scheme: 'dpop', value: 'x' }] }
    expect(first(readNative({ tool: 's/t', proofs: FIELDS, credentials }))).toMatchObject(wanted)
    expect(first(readAuthzen({ warder: { proofs: FIELDS, credentials } }))).toMatchObject(wanted)
  })

  test('in headers of a JSON dialect are nobody’s', () => {
    const headers: Headers = [...JSON_TYPE, ['DPoP', 'a'], ['X-Forwarded-Client-Cert', 'b']]
    const body = JSON.stringify({ tool: 's/t' })
    const read = native.read(wire({ method: 'POST', target: '/v1/decide', headers, body }), GATEWAY, NOW)
    expect(first(read)).not.toHaveProperty('proofs')
  })

  test.each([
    [{ dpop: 'a' }, 'request.wrong_type'],
    [{ dop: ['a'] }, 'request.unknown_field'],
    [{ certificate: { source: 'header', value: 'c' } }, 'request.wrong_type'],
    [{ call: { method: 'post', path: '/' } }, 'request.wrong_type'],
    [{ call: { method: 'POST', path: '/a/../b' } }, 'request.path_ambiguous'],
  ])('%j is refused', (proofs, code) => {
    expect(first(readNative({ tool: 's/t', proofs }))).toMatchObject({ code })
    expect(first(readAuthzen({ warder: { proofs } }))).toMatchObject({ code })
  })
})

const ID = '019a0000-0000-7000-8000-000000000001' as DecisionId

describe('what a denial tells the client', () => {
  const challenge: Challenge = { scheme: 'DPoP', error: 'use_dpop_nonce', algorithms: ['ES256'], nonce: 'n' }
  const denied = (code: Decision['reasons'][0]['code'], more: Partial<Decision> = {}): Decision => ({
    ...decision(ID, 'deny', code),
    ...more,
  })
  const asked = { requests: [], semantic: 'single', itemErrors: new Map() } as const
  const written = (dialect: typeof forwardAuth, answer: Decision) => {
    const { status, headers, body } = dialect.write(
      [{ decision: answer }],
      asked,
      wire({ method: 'GET', target: '/' }),
    )
    return { status, headers: Object.fromEntries(headers), body: body === '' ? {} : JSON.parse(body) }
  }

  test('is a challenge with a nonce, in header and body', () => {
    const answer = denied('pop.nonce', { challenge, proofNonce: 'n' })
    for (const dialect of [forwardAuth, envoyHttp])
      expect(written(dialect, answer)).toMatchObject({
        status: 401,
        headers: {
          'www-authenticate': 'DPoP realm="warder", error="use_dpop_nonce", algs="ES256"',
          'dpop-nonce': 'n',
        },
      })
    const told = { status: 401, error: 'use_dpop_nonce', www_authenticate: expect.stringMatching(/^DPoP /) }
    expect(written(native, answer)).toMatchObject({ status: 200, body: { challenge: told, dpop_nonce: 'n' } })
    expect(written(authzen, answer)).toMatchObject({
      headers: { 'dpop-nonce': 'n' },
      body: { decision: false, context: { challenge: told } },
    })
  })

  test('an allow brings the nonce of the next proof', () => {
    const answer: Decision = { ...decision(ID, 'allow', 'policy.permit'), proofNonce: 'n' }
    for (const dialect of [forwardAuth, envoyHttp, authzen])
      expect(written(dialect, answer).headers).toMatchObject({ 'dpop-nonce': 'n' })
    expect(written(native, answer).body).toMatchObject({ dpop_nonce: 'n' })
  })

  test('nginx knows 401 and 403, Envoy 400 too, and neither gets a 5xx that it might ignore', () => {
    const invalid = denied('credentials.multiple')
    expect([forwardAuth, envoyHttp].map((each) => written(each, invalid).status)).toEqual([401, 400])
    const unknown = denied('pop.unavailable', { retryAfterSeconds: 1 })
    for (const dialect of [forwardAuth, envoyHttp])
      expect(written(dialect, unknown)).toMatchObject({ status: 403, headers: { 'retry-after': '1' } })
  })
})
