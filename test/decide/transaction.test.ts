import { SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createDecider } from '#decide.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import { createMask } from '#decision-log/mask.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { Json } from '#model/value.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { dependenciesOf } from '#revocation/dependencies.ts'
import { proofsWith, verifier } from '../support/proofs.ts'
import { issuer, makeKey, named, request, type SigningKey } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, stateOf } from '../support/world.ts'

const SECOND = NOON / 1000
const BOT = {
  uid: { type: 'Warder::Agent', id: 'bot' },
  attrs: { status: 'active', environment: 'any' },
  tags: {},
  parents: [],
}

let key: SigningKey
beforeAll(async () => {
  key = await makeKey('ES256', 't1')
})

async function decideWithin(tctx: Json, { tool = 'bank/pay', amount = 5 } = {}) {
  const policies = [
    policyFile('@id("all") permit(principal, action in Warder::Action::"callTool", resource);'),
  ]
  const tts = issuer([key], {
    issuer: 'https://tts.example',
    audience: ['acme.example'],
    profile: 'txn-token',
    types: ['txntoken+jwt'],
  })
  const { tenant, gateway } = await createWorld('acme', { policies, entities: [BOT], issuers: [tts] })
  const rows: LogEntry[] = []
  const decider = createDecider({
    clock: () => NOON,
    state: stateOf(() => tenant),
    freshnessMillisecondsMax: 10_000,
    verify: verifier(),
    judgePolicy: createJudgePolicy(createEvaluate(createEngine())),
    mask: createMask(new Uint8Array(32)),
    log: {
      write: async (entry) => {
        rows.push(entry)
        return { ok: true, value: undefined }
      },
    },
    onFault: (error) => expect.unreachable(String(error)),
  })
  const payload = { txn: 'txn-77', sub: 'u', scope: 's', req_wl: 'w', aud: 'acme.example', tctx }
  const text = await new SignJWT({ ...payload, iat: SECOND, exp: SECOND + 60 })
    .setProtectedHeader({ alg: 'ES256', kid: 't1', typ: 'txntoken+jwt' })
    .sign(key.privateKey)
  const call = { agent: named('bot'), user: named('alice'), tool, arguments: { amount } }
  const proofs = proofsWith({ transactionToken: [text] })
  const decision = await decider.decide(request({ ...call, now: NOON, proofs }), gateway)
  return { decision, row: JSON.stringify(rows), text }
}

test('a call that its transaction was started for is decided by policy, any other denies', async () => {
  const tctx = { tool: 'bank/pay', arguments: { amount: 5 } }
  expect((await decideWithin(tctx)).decision.effect).toBe('allow')
  for (const more of [{ amount: 6 }, { tool: 'bank/drain' }])
    expect((await decideWithin(tctx, more)).decision).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'txn.mismatch' }],
    })
})

test('the log keeps the id of the transaction and neither its token nor its context', async () => {
  const { row, text } = await decideWithin({ note: 'hidden-value' })
  expect(row).toContain('"transaction":{"id":"txn-77"}')
  for (const secret of ['hidden-value', text, text.split('.')[1] ?? '']) expect(row).not.toContain(secret)
})

test('a transaction hangs on its id, its issuer, its key and its actors, and its subject is nobody', async () => {
  const { tenant } = await createWorld('acme', { policies: [], entities: [BOT] })
  const identity: VerifiedIdentity = {
    tenant: tenant.id,
    agent: { id: 'bot', provenance: 'verified', properties: {} },
    user: undefined,
    subject: undefined,
    delegation: { source: 'none', chain: [] },
    token: undefined,
    transaction: {
      id: 'txn-77',
      issuer: 'https://tts.example',
      keyId: 't1',
      chain: [{ issuer: 'https://tts.example', id: 'starter' }],
      context: {},
    },
  }
  const kinds = dependenciesOf(identity, request(), tenant).map(({ kind, id }) => `${kind} ${id}`)
  expect(kinds).toEqual(
    expect.arrayContaining([
      'token https://tts.example|txn-77',
      'issuer https://tts.example',
      'key https://tts.example|t1',
      'agent starter',
      'client starter',
    ]),
  )
  expect(kinds.filter((each) => each.startsWith('subject'))).toEqual([])
})
