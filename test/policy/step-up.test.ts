import { beforeAll, expect, test } from 'vitest'
import { statusAnswer } from '#gateways/status-answer.ts'
import type { JsonObject } from '#model/value.ts'
import { entity } from '../support/entity.ts'
import { bearer, claims, issuer, makeKey, named, request, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, type World } from '../support/world.ts'

let key: SigningKey
let world: World
const BOT = entity('Agent', 'agent-1', { status: 'active', environment: 'any' })
const TOOL = entity('Tool', 'crm/read', {
  riskTier: 'low',
  sideEffect: 'read',
  touches: [],
  environment: 'any',
})
const READ = entity('Action', 'crm/read', {}, ['readTools'])

beforeAll(async () => {
  key = await makeKey('ES256', 'k')
  const text = `
    @id("all") permit(principal, action in Warder::Action::"callTool", resource);
    @id("alone") permit(principal, action in Warder::Action::"callTool", resource) when { context.autonomous };
    @id("fresh") @obligation("{\\"type\\":\\"step_up\\",\\"acr_value\\":\\"phr\\",\\"max_age_seconds\\":300}")
    forbid(principal, action in Warder::Action::"callTool", resource) unless {
      context has token && context.token has acr && context.token.acr == "phr"
        && context.token has authAgeSeconds && context.token.authAgeSeconds <= 300
        && context.token has amr && context.token.amr.contains("hwk")
    };`
  const input = { policies: [policyFile(text)], entities: [BOT, TOOL, READ], issuers: [issuer([key])] }
  world = await createWorld('acme', input)
})

const NOW = NOON / 1000
const STRONG = { acr: 'phr', amr: ['hwk', 'pin'], auth_time: NOW - 300 }

async function ask(more: JsonObject) {
  const token = await sign(key, claims({ iat: NOW - 60, exp: NOW + 60, ...more }))
  return await world.decider.decide(request({ ...bearer(token), now: NOON }), world.gateway)
}

const CHALLENGE = {
  scheme: 'Bearer',
  error: 'insufficient_user_authentication',
  acrValues: ['phr'],
  maxAgeSeconds: 300,
}

test('a user who authenticated as demanded needs no step-up', async () => {
  expect(await ask(STRONG)).toMatchObject({ effect: 'allow' })
})

test.each<[string, JsonObject]>([
  ['is too long ago', { ...STRONG, auth_time: NOW - 301 }],
  ['was of another class', { ...STRONG, acr: 'pwd' }],
  ['used another method', { ...STRONG, amr: ['pwd'] }],
  ['has no date', { acr: 'phr', amr: ['hwk'] }],
  ['has no class', { amr: ['hwk'], auth_time: NOW }],
  ['is not told at all', {}],
])('an authentication that %s is challenged', async (_, more) => {
  const denied = await ask(more)
  expect(denied).toMatchObject({ effect: 'deny', challenge: CHALLENGE })
  const answer = statusAnswer(denied, () => [])
  expect(answer.status).toBe(401)
  expect(new Map(answer.headers).get('www-authenticate')).toBe(
    'Bearer realm="warder", error="insufficient_user_authentication", acr_values="phr", max_age="300"',
  )
})

test('an authentication that the token tells wrongly is no authentication', async () => {
  for (const more of [{ acr: 7 }, { amr: [7] }, { auth_time: 'now' }])
    expect(await ask(more)).toMatchObject({ reasons: [{ code: 'token.claim_invalid' }] })
})

test('an agent that acts alone can not step up and is told of no way to', async () => {
  const denied = await ask({ sub: 'agent-1' })
  expect(denied).toMatchObject({ effect: 'deny', reasons: [{ policy: 'fresh' }] })
  expect(denied.obligations).toMatchObject([{ type: 'step_up' }])
  expect(denied.challenge).toBeUndefined()
})

test('without a verified token nobody is told what is demanded', async () => {
  const asked = request({ agent: named('agent-1'), user: named('alice'), now: NOON })
  const denied = await world.decider.decide(asked, world.gateway)
  expect(denied).toMatchObject({ effect: 'deny', reasons: [{ policy: 'fresh' }] })
  expect(denied.challenge).toBeUndefined()
})
