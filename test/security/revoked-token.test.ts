import { beforeAll, expect, test } from 'vitest'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createTokenCache } from '#identity/token-cache.ts'
import { createVerify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Dependency } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { createBreakers } from '#revocation/breakers.ts'
import { agent, listOf, revocation } from '../revocation/subjects.ts'
import {
  bearer,
  claims,
  gateway,
  ISSUER,
  issuer,
  makeKey,
  NOW_SECONDS,
  request,
  type SigningKey,
  sign,
} from '../support/tokens.ts'
import { createWorld, policyFile, type World } from '../support/world.ts'

const NOW = (NOW_SECONDS * 1000) as EpochMilliseconds
const ALL = '@id("all") permit(principal, action in Warder::Action::"callTool", resource);'

let key: SigningKey
let world: World
beforeAll(async () => {
  key = await makeKey('ES256', 'k-1')
  const entities = ['agent-1', 'outer', 'inner'].map((id) => agent(id, { environment: 'any' }))
  world = await createWorld('acme', { policies: [policyFile(ALL)], entities, issuers: [issuer([key])] })
})

/** The real path with a real token and cache; `revoke` acts on the next question. */
function server(rules?: TenantState['rules']) {
  let tenant: TenantState = { ...world.tenant, ...(rules !== undefined && { rules }) }
  const cache = createTokenCache()
  const keys = createKeySets({
    clock: () => NOW,
    fetch: () => Promise.reject(new Error('none')),
    onFault: () => {},
  })
  const rows: { readonly detail: string }[] = []
  const decider = createDecider({
    clock: () => NOW,
    state: {
      tenant: () => tenant,
      gatewayByKeyHash: () => undefined,
      refreshedAt: NOW,
      ageMilliseconds: () => 0,
      rolledBack: () => undefined,
    },
    freshnessMillisecondsMax: 10_000,
    verify: createVerify({ keys, cache }),
    judgePolicy: createJudgePolicy(createEvaluate(createEngine())),
    breakers: createBreakers(() => undefined),
    mask: createMask(new Uint8Array(32)),
    log: {
      write: async ({ trace }) => {
        rows.push({ detail: String(trace['detail']) })
        return { ok: true, value: undefined }
      },
    },
    onFault: (error) => expect.unreachable(String(error)),
  })
  return {
    cache,
    rows,
    revoke: (what: Dependency) => {
      tenant = { ...tenant, version: tenant.version + 1, revocations: listOf(revocation(what)) }
    },
    ask: (token: string | undefined, tool = 'crm/read') =>
      decider.decide(request({ tool, ...(token !== undefined && bearer(token)) }), gateway()),
  }
}

const DELEGATED = { act: { sub: 'outer', act: { sub: 'inner' } } }

test.each([
  ['its id', { kind: 'token', id: `${ISSUER}|token-1` }],
  ['its subject', { kind: 'subject', id: `${ISSUER}|alice` }],
  ['a prior actor', { kind: 'agent', id: 'inner' }],
  ['a step between actors', { kind: 'edge', id: 'inner>outer' }],
  ['its key', { kind: 'key', id: `${ISSUER}|k-1` }],
  ['its issuer', { kind: 'issuer', id: ISSUER }],
  ['its client', { kind: 'client', id: 'agent-1' }],
] as const)('a token that is in the cache is denied as soon as %s is revoked', async (_name, what) => {
  const { ask, revoke, cache, rows } = server()
  const token = await sign(key, claims(DELEGATED))
  const allowed = await ask(token)
  expect([allowed.effect, cache.size]).toEqual(['allow', 1])
  revoke(what)
  const denied = await ask(token)
  expect(denied).toMatchObject({
    effect: 'deny',
    reasons: [
      {
        code: 'revoked.authority',
        message: 'the token, or something that it rests on, is not valid any more',
      },
    ],
    challenge: { scheme: 'Bearer', error: 'invalid_token' },
  })
  expect(denied.stateVersion).toBeGreaterThan(allowed.stateVersion)
  expect(rows.at(-1)?.detail).toContain(what.kind)
})

test('a kill switch of a tool is answered before the token is even read', async () => {
  const { ask, revoke } = server()
  revoke({ kind: 'tool', id: 'crm/read' })
  for (const token of ['not a token', undefined])
    expect(await ask(token)).toMatchObject({ effect: 'deny', reasons: [{ code: 'revoked.stopped' }] })
  expect(await ask('not a token', 'crm/other')).toMatchObject({ reasons: [{ code: 'token.malformed' }] })
})

test('a name that somebody claims stops nobody: without a good token its kill switch is not even looked at', async () => {
  const { ask, revoke } = server()
  revoke({ kind: 'agent', id: 'agent-1' })
  expect(await ask('not a token')).toMatchObject({ reasons: [{ code: 'token.malformed' }] })
})

test("forged tokens do not trip the breaker of the agent that they name, the agent's own denials do", async () => {
  const { ask } = server({ breaker: { denyShare: 1, minimum: 3, windowSeconds: 60, openSeconds: 30 } })
  const good = await sign(key)
  const forged = await sign(await makeKey('ES256', 'k-1'))
  for (let i = 0; i < 6; i++)
    expect(await ask(forged)).toMatchObject({ reasons: [{ code: 'token.signature' }] })
  expect(await ask(good)).toMatchObject({ effect: 'allow' })
  const own = server({ breaker: { denyShare: 1, minimum: 3, windowSeconds: 60, openSeconds: 30 } })
  for (let i = 0; i < 3; i++) expect(await own.ask(good, 'callTool')).toMatchObject({ effect: 'deny' })
  expect(await own.ask(good)).toMatchObject({
    effect: 'deny',
    reasons: [{ code: 'revoked.breaker' }],
    retryAfterSeconds: 30,
  })
})
