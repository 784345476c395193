import { describe, expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import { comeBack } from '#guards/challenge.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { Judgement } from '#model/answer.ts'
import type { Challenge } from '#model/challenge.ts'
import type { Decision } from '#model/decision.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { DecisionId } from '#model/ids.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import { decision as denial } from '../support/fake-decider.ts'
import { gateway, request, TENANT } from '../support/tokens.ts'
import { wire } from '../support/wire.ts'

const METADATA = 'https://api.example.com/.well-known/oauth-protected-resource'
const HERE = `realm="warder"`
const WHERE = `resource_metadata="${METADATA}"`
const ALGORITHMS = 'algs="ES256 ES384 PS256 RS256 Ed25519 EdDSA"'
const INVALID = `Bearer ${HERE}, error="invalid_token", ${WHERE}`
const DPOP_INVALID = `DPoP ${HERE}, error="invalid_token", ${ALGORITHMS}, ${WHERE}`

/** One kind of failure: what the client of a gateway that passes every status on gets, and of one that knows 401 and 403 alone. */
interface Row {
  readonly row: string
  readonly codes: readonly ReasonCode[]
  /** What the step itself says; undefined: the code alone decides. */
  readonly judgement?: Partial<Judgement>
  readonly bound?: true
  readonly all: 400 | 401 | 403
  readonly few: 401 | 403
  readonly challenge?: string
  readonly retryAfter?: true
  readonly nonce?: string
  readonly rpc?: number
}

const dpop = (challenge: Omit<Challenge, 'scheme'>): Partial<Judgement> => ({
  challenge: { scheme: 'DPoP', ...challenge },
})
const codesOf = (prefix: string, without: readonly string[] = []) =>
  (Object.keys(REASONS) as ReasonCode[]).filter((code) => code.startsWith(prefix) && !without.includes(code))

const UNKNOWN: readonly ReasonCode[] = [
  'token.keys_unavailable',
  'token.keys_stale',
  'token.introspection_unavailable',
  'pop.unavailable',
  'revoked.status_unknown',
  'exchange.unavailable',
  'agent.metadata_unavailable',
  'state.stale',
  'log.unavailable',
  'log.overflow',
]

const ROWS: readonly Row[] = [
  {
    row: 'no credential: 401 without an error, and where the resource describes itself',
    codes: ['credentials.missing', 'identity.missing'],
    all: 401,
    few: 401,
    challenge: `Bearer ${HERE}, ${WHERE}`,
  },
  {
    row: 'no credential where one that is bound is needed: 401 with the scopes and the algorithms of proofs',
    codes: ['credentials.missing'],
    judgement: dpop({ scope: ['crm.read', 'offline_access'] }),
    all: 401,
    few: 401,
    challenge: `DPoP ${HERE}, scope="crm.read", ${ALGORITHMS}, ${WHERE}`,
  },
  {
    row: 'an ambiguous or foreign credential: 400 invalid_request, and 401 where the gateway knows no 400',
    codes: ['credentials.multiple', 'credentials.unsupported'],
    all: 400,
    few: 401,
    challenge: `Bearer ${HERE}, error="invalid_request", ${WHERE}`,
  },
  {
    // RFC 6750 section 3.1 has "malformed" under invalid_token: the client needs another token, not another request.
    row: 'a token that is malformed, expired, foreign or superseded: 401 invalid_token',
    codes: [...codesOf('token.', UNKNOWN), 'credentials.key_unknown'],
    all: 401,
    few: 401,
    challenge: INVALID,
  },
  {
    row: 'a proof that does not hold: 401 invalid_dpop_proof under the scheme DPoP',
    codes: ['pop.proof', 'pop.signature', 'pop.key', 'pop.request', 'pop.token', 'pop.time', 'pop.replayed'],
    judgement: dpop({ error: 'invalid_dpop_proof' }),
    all: 401,
    few: 401,
    challenge: `DPoP ${HERE}, error="invalid_dpop_proof", ${ALGORITHMS}, ${WHERE}`,
  },
  {
    row: 'a proof without our nonce: 401 use_dpop_nonce, and the nonce',
    codes: ['pop.nonce'],
    judgement: dpop({ error: 'use_dpop_nonce', nonce: 'n-1' }),
    all: 401,
    few: 401,
    challenge: `DPoP ${HERE}, error="use_dpop_nonce", ${ALGORITHMS}, ${WHERE}`,
    nonce: 'n-1',
  },
  {
    row: 'a certificate that does not prove the token: 401 invalid_token under Bearer',
    codes: ['pop.certificate', 'pop.certificate_source', 'pop.method_unsupported', 'pop.missing'],
    all: 401,
    few: 401,
    challenge: INVALID,
  },
  {
    row: 'a workload, signature or transaction that does not hold: 400 without a challenge',
    codes: ['workload.proof', 'workload.untrusted', 'signature.invalid', 'txn.invalid'],
    all: 400,
    few: 403,
  },
  {
    row: 'a call that is not the one of its transaction: 403',
    codes: ['txn.mismatch'],
    all: 403,
    few: 403,
  },
  {
    row: 'missing scopes or details: 403 insufficient_scope with all scopes',
    codes: ['scope.insufficient'],
    judgement: { challenge: { scheme: 'Bearer', error: 'insufficient_scope', scope: ['a', 'b'] } },
    all: 403,
    few: 403,
    challenge: `Bearer ${HERE}, error="insufficient_scope", scope="a b", ${WHERE}`,
  },
  {
    row: 'the same for a token that is bound: the scheme follows the binding',
    codes: ['scope.insufficient'],
    judgement: { challenge: { scheme: 'Bearer', error: 'insufficient_scope', scope: ['a'] } },
    bound: true,
    all: 403,
    few: 403,
    challenge: `DPoP ${HERE}, error="insufficient_scope", scope="a", ${ALGORITHMS}, ${WHERE}`,
  },
  {
    row: 'another authentication of the user: 401 with class and age',
    codes: ['policy.forbid'],
    judgement: {
      challenge: {
        scheme: 'Bearer',
        error: 'insufficient_user_authentication',
        acrValues: ['phr'],
        maxAgeSeconds: 300,
      },
    },
    all: 401,
    few: 401,
    challenge: `Bearer ${HERE}, error="insufficient_user_authentication", acr_values="phr", max_age="300", ${WHERE}`,
  },
  {
    row: 'a chain that breaks a rule: 403 actor_unauthorized, never insufficient_scope',
    codes: codesOf('chain.', ['chain.actor']),
    judgement: { challenge: { scheme: 'Bearer', error: 'actor_unauthorized' } },
    all: 403,
    few: 403,
    challenge: `Bearer ${HERE}, error="actor_unauthorized", ${WHERE}`,
  },
  {
    row: 'a token that does not say who acts, where it must: 401 invalid_token, for another one helps',
    codes: ['chain.actor'],
    judgement: { challenge: { scheme: 'Bearer', error: 'invalid_token' } },
    all: 401,
    few: 401,
    challenge: INVALID,
  },
  {
    row: 'whatever was revoked: 401 invalid_token, the same for all',
    codes: ['revoked.authority'],
    all: 401,
    few: 401,
    challenge: INVALID,
  },
  {
    row: 'the same for a token that is bound',
    codes: ['revoked.authority'],
    bound: true,
    all: 401,
    few: 401,
    challenge: DPOP_INVALID,
  },
  {
    row: 'another tenant, an agent or user that may not act, a stop: 403 without a challenge',
    codes: ['tenant.unknown', 'agent.unknown', 'agent.suspended', 'user.suspended', 'revoked.stopped'],
    all: 403,
    few: 403,
  },
  {
    row: 'headers that contradict the body: 400 and the JSON-RPC error of MCP',
    codes: ['mcp.header_mismatch'],
    all: 400,
    few: 403,
    rpc: -32_020,
  },
  {
    row: 'an approval that is missing: 403, and the obligation says whose',
    codes: ['policy.forbid'],
    judgement: { obligations: [{ type: 'human_approval', properties: {}, policies: ['p'] }] },
    all: 403,
    few: 403,
  },
  {
    row: 'an open breaker: a denial with the time to come back',
    codes: ['revoked.breaker'],
    all: 403,
    few: 403,
    retryAfter: true,
  },
  {
    row: 'what could not be found out: a denial with the time to come back, that calls no credential bad',
    codes: UNKNOWN,
    all: 403,
    few: 403,
    retryAfter: true,
  },
]

const identity: VerifiedIdentity = {
  tenant: TENANT,
  agent: { id: 'a', provenance: 'verified', properties: {} },
  user: { id: 'u', provenance: 'verified', properties: {} },
  subject: undefined,
  delegation: { source: 'token', chain: [] },
  token: {
    issuer: 'https://idp.example',
    subject: 'u',
    id: 't',
    expiresAt: 0 as EpochSeconds,
    issuedAt: undefined,
    scopes: [],
    boundTo: { jkt: 'thumbprint' },
  },
}

function decisionOf({ judgement, bound }: Row, code: ReasonCode): Decision {
  const judged: Judgement = {
    effect: 'deny',
    reasons: [{ code }],
    obligations: [],
    advice: [],
    expiresAt: undefined,
    trace: {},
    ...judgement,
  }
  const at = gateway({ settings: { resourceMetadata: METADATA } })
  return {
    ...denial('d-1' as DecisionId, 'deny', code),
    obligations: judged.obligations,
    ...comeBack(judged, bound === true ? identity : undefined, at),
  }
}

function answerOf(dialect: GatewayDialect, decision: Decision) {
  const asked = { requests: [request()], semantic: 'single', itemErrors: new Map() } as const
  const { status, headers, body } = dialect.write([{ decision }], asked, wire({ method: 'GET', target: '/' }))
  return { status, headers: new Map(headers), body: JSON.parse(body) as unknown }
}

const cases = ROWS.flatMap((row) => row.codes.map((code) => ({ ...row, code })))

describe.each(cases)('$row', (row) => {
  const decision = decisionOf(row, row.code)

  test.each([
    ['Envoy', envoyHttp, row.all],
    ['a gateway that knows 401 and 403 alone', forwardAuth, row.few],
  ] as const)(`${row.code}, through %s`, (_name, dialect, status) => {
    const answer = answerOf(dialect, decision)
    expect(answer.status).toBe(status)
    // A 401 has a challenge (RFC 9110 section 15.5.2).
    expect(answer.headers.get('www-authenticate')).toBe(row.challenge)
    expect(answer.headers.has('retry-after')).toBe(row.retryAfter === true)
    expect(answer.headers.get('dpop-nonce')).toBe(row.nonce)
    expect(answer.headers.get('x-warder-reason')).toBe(row.code)
    expect(answer.body).toMatchObject(
      row.rpc === undefined
        ? { decision: 'deny', error: { code: row.code } }
        : { jsonrpc: '2.0', id: null, error: { code: row.rpc, data: { reason: row.code } } },
    )
  })

  test(`${row.code}, for a gateway that reads JSON`, () => {
    const { status, body } = answerOf(native, decision)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      decision: 'deny',
      reasons: [{ code: row.code }],
      ...(row.challenge !== undefined && {
        challenge: { status: row.all, www_authenticate: row.challenge },
      }),
      ...(row.retryAfter === true && { retry_after: 1 }),
    })
  })
})
