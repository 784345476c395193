import { describe, expect, test } from 'vitest'
import { denied as answerOf } from '#gateways/status-answer.ts'
import { comeBack } from '#guards/challenge.ts'
import type { Judgement } from '#model/answer.ts'
import type { Challenge } from '#model/challenge.ts'
import { statusOf } from '#model/challenge.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import { gateway, TENANT } from '../support/tokens.ts'

const METADATA = 'https://api.example.com/.well-known/oauth-protected-resource'

function denied(code: ReasonCode, more: Partial<Judgement> = {}): Judgement {
  const nothing = { obligations: [], advice: [], expiresAt: undefined, trace: {} }
  return { effect: 'deny', reasons: [{ code }], ...nothing, ...more }
}

function identity(more: Partial<VerifiedIdentity> = {}): VerifiedIdentity {
  return {
    tenant: TENANT,
    agent: { id: 'a', provenance: 'verified', properties: {} },
    user: { id: 'u', provenance: 'verified', properties: {} },
    subject: undefined,
    delegation: { source: 'token', chain: [] },
    token: {
      issuer: 'https://idp.example',
      subject: 'u',
      id: 't',
      expiresAt: 0 as never,
      issuedAt: undefined,
      scopes: [],
    },
    ...more,
  }
}

const codes = Object.keys(REASONS) as ReasonCode[]

test.each(codes)('%s is never answered with a status that is an allow', (code) => {
  const { challenge } = comeBack(denied(code), undefined, gateway())
  expect([400, 401, 403, 503]).toContain(statusOf(code, challenge))
})

test.each([
  ['identity.missing', 401, undefined],
  ['credentials.missing', 401, undefined],
  ['credentials.multiple', 400, 'invalid_request'],
  ['token.expired', 401, 'invalid_token'],
  ['revoked.authority', 401, 'invalid_token'],
  ['pop.method_unsupported', 401, 'invalid_token'],
] as const)('%s is %i with error %s', (code, status, error) => {
  const { challenge } = comeBack(denied(code), undefined, gateway())
  expect(challenge).toEqual({ scheme: 'Bearer', ...(error !== undefined && { error }) })
  expect(statusOf(code, challenge)).toBe(status)
})

test.each([
  'token.keys_unavailable',
  'token.introspection_unavailable',
  'pop.unavailable',
  'state.stale',
  'log.unavailable',
] as const)('%s asks to come again, and does not call the token bad', (code) => {
  const told = comeBack(denied(code), identity(), gateway())
  expect(told).toEqual({ retryAfterSeconds: 1 })
  expect(statusOf(code, undefined)).toBe(503)
})

test.each(['workload.proof', 'signature.invalid', 'txn.invalid', 'mcp.header_mismatch'] as const)(
  '%s is a bad request, for which no other token helps',
  (code) => {
    const { challenge } = comeBack(denied(code), identity(), gateway())
    expect(challenge).toBeUndefined()
    expect(statusOf(code, challenge)).toBe(400)
    expect(answerOf(code, undefined, { statuses: 'client' }).status).toBe(400)
    // Where a gateway knows 401 and 403 alone: a 401 would need a challenge.
    expect(answerOf(code, undefined, { statuses: 'few' }).status).toBe(403)
  },
)

test('what was revoked is not to be told from the challenge', () => {
  const told = comeBack(denied('revoked.authority'), identity(), gateway())
  expect(JSON.stringify(told)).toBe('{"challenge":{"scheme":"Bearer","error":"invalid_token"}}')
})

test('a challenge says where the resource describes itself', () => {
  const at = gateway({ settings: { resourceMetadata: METADATA } })
  const given: Challenge = { scheme: 'DPoP', error: 'use_dpop_nonce', nonce: 'n', algorithms: ['ES256'] }
  expect(comeBack(denied('pop.nonce', { challenge: given }), undefined, at).challenge).toEqual({
    ...given,
    resourceMetadata: METADATA,
  })
  expect(comeBack(denied('policy.forbid'), undefined, at)).toEqual({})
})

describe('a policy that asks for another authentication of the user', () => {
  const obligations = [{ type: 'step_up', properties: { acr_value: 'phr' }, policies: ['p'] }] as const
  const step = denied('policy.forbid', { obligations })

  test('is the challenge of RFC 9470', () => {
    const { challenge } = comeBack(step, identity(), gateway())
    const error = 'insufficient_user_authentication'
    expect(challenge).toEqual({ scheme: 'Bearer', error, acrValues: ['phr'] })
    expect(statusOf('policy.forbid', challenge)).toBe(401)
  })

  test('is none for an agent without a user, and none before a token was verified', () => {
    expect(comeBack(step, identity({ user: undefined }), gateway())).toEqual({})
    const account = { id: 'bot-account', provenance: 'verified', properties: {}, ofAgent: true } as const
    expect(comeBack(step, identity({ user: account }), gateway())).toEqual({})
    expect(comeBack(step, identity({ token: undefined }), gateway())).toEqual({})
  })
})

test('an allow has no challenge', () => {
  expect(comeBack(denied('policy.permit', { effect: 'allow' }), identity(), gateway())).toEqual({})
})
