import { describe, expect, test } from 'vitest'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { TokenStatus } from '#model/token-status.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { nativeRequest } from '../support/ask.ts'
import { createWorld, NOON, policyFile, stateOf } from '../support/world.ts'

const BOT = {
  uid: { type: 'Warder::Agent', id: 'bot' },
  attrs: { status: 'active', environment: 'any' },
  tags: {},
  parents: [],
}

const STATUS = { index: 0, uri: 'https://idp.example/lists/1' }
/** Which token of the call points to the list. */
const POINTING: { readonly [kind: string]: Partial<VerifiedIdentity> } = {
  'the access token': {},
  'the workload token': { workloadToken: { issuer: 'spiffe://acme.example', status: STATUS } },
  'the transaction token': {
    transaction: { id: 't', issuer: 'https://tts.example', chain: [], context: {}, status: STATUS },
  },
}

/** Decides one request with a good token that points to a status list, which says `said`; undefined: no lists are read. */
async function decideWith(said: TokenStatus | undefined, kind: string) {
  const policies = [
    policyFile('@id("all") permit(principal, action in Warder::Action::"callTool", resource);'),
  ]
  const { tenant, gateway } = await createWorld('acme', { policies, entities: [BOT] })
  const identity: VerifiedIdentity = {
    tenant: tenant.id,
    agent: { id: 'bot', provenance: 'verified', properties: {} },
    user: { id: 'alice', provenance: 'verified', properties: {} },
    subject: undefined,
    delegation: { source: 'none', chain: [] },
    token: {
      issuer: 'https://idp.example',
      subject: 'alice',
      id: 'token-1',
      expiresAt: (NOON / 1000 + 600) as EpochSeconds,
      issuedAt: (NOON / 1000) as EpochSeconds,
      scopes: [],
      ...(kind === 'the access token' && { status: STATUS }),
    },
    ...POINTING[kind],
  }
  const decider = createDecider({
    clock: () => NOON,
    state: stateOf(() => tenant),
    freshnessMillisecondsMax: 10_000,
    verify: async () => ({ ok: true, value: identity }),
    ...(said !== undefined && { statuses: { statusOf: () => said } }),
    judgePolicy: createJudgePolicy(createEvaluate(createEngine())),
    mask: createMask(new Uint8Array(32)),
    log: { write: async () => ({ ok: true, value: undefined }) },
    onFault: (error) => expect.unreachable(String(error)),
  })
  return await decider.decide(nativeRequest({ agent: 'bot', user: 'alice', tool: 'x/read' }), gateway)
}

describe.each(Object.keys(POINTING))('%s points to a list:', (kind) => {
  test.each<[TokenStatus | undefined, string]>([
    ['valid', 'allow'],
    ['invalid', 'revoked.authority'],
    ['suspended', 'revoked.authority'],
    ['unknown', 'revoked.status_unknown'],
    [undefined, 'revoked.status_unknown'],
  ])('a call whose token has the status %s ends with %s', async (said, expected) => {
    const decision = await decideWith(said, kind)
    expect(decision.effect === 'allow' ? 'allow' : decision.reasons[0]?.code).toBe(expected)
  })
})
