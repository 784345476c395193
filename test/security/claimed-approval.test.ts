import { beforeAll, describe, expect, test } from 'vitest'
import { native } from '#gateways/native.ts'
import type { Release } from '#model/release.ts'
import type { JsonObject } from '#model/value.ts'
import { askWire, codeOf } from '../delegation/scene.ts'
import { issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { jsonWire } from '../support/wire.ts'
import { createWorld, NOON, policyFile, releaseOf } from '../support/world.ts'

// A human's yes counts only where somebody has signed for it: an authorization server by the exact call that it authorizes
// (RFC 9396), for instance after it has asked the user (OpenID CIBA). What an agent reports about it is its own word.

const AUDIENCE = 'https://tools.example/mcp'
const APPROVED = 'context has claimed && context.claimed has approved && context.claimed.approved'
const POLICY = `
  @id("agents") permit (principal is Warder::Agent, action == Warder::Action::"bank/pay", resource) when { !context.autonomous };
  @id("users") permit (principal is Warder::User, action == Warder::Action::"bank/pay", resource);
  @id("told") permit (principal, action == Warder::Action::"bank/close", resource) when { ${APPROVED} };
  @id("ask") @obligation("{\\"type\\":\\"human_approval\\",\\"approvers\\":[\\"group:treasury\\"]}")
  forbid (principal, action == Warder::Action::"bank/wire", resource) unless { ${APPROVED} };
  @id("wires") permit (principal, action == Warder::Action::"bank/wire", resource);
`
const TOOLS = ['bank/pay', 'bank/close', 'bank/wire'].flatMap((id) => [
  {
    uid: { type: 'Warder::Tool', id },
    attrs: { riskTier: 'low', sideEffect: 'write', touches: [], environment: 'any' },
    tags: {},
    parents: [],
  },
  {
    uid: { type: 'Warder::Action', id },
    attrs: {},
    tags: {},
    parents: [{ type: 'Warder::Action', id: 'writeTools' }],
  },
])
const AGENT = {
  uid: { type: 'Warder::Agent', id: 'payer' },
  attrs: { status: 'active', environment: 'any' },
  tags: {},
  parents: [],
}

let key: SigningKey
let release: Release
beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
  release = await releaseOf([policyFile(POLICY)])
})

async function ask(body: JsonObject, claims: JsonObject = {}) {
  const world = await createWorld('acme', {
    policies: [],
    release,
    entities: [...TOOLS, AGENT],
    issuers: [issuer([key], { audience: [AUDIENCE] })],
  })
  const seconds = NOON / 1000
  const token = await sign(key, {
    iss: 'https://idp.example',
    aud: AUDIENCE,
    sub: 'alice',
    client_id: 'payer',
    jti: 'token-1',
    iat: seconds - 60,
    exp: seconds + 600,
    ...claims,
  })
  const asked = { credentials: { access_token: token }, ...body }
  return await askWire(world, [native, jsonWire('/v1/decide', asked)])
}

describe('a human’s yes that the agent reports is no approval', () => {
  test('a permit that rests on it does not count', async () => {
    expect(codeOf(await ask({ tool: 'bank/close', declared: { approved: true } }))).toBe(
      'policy.declared_only',
    )
  })

  test('a forbid that it would lift stands, and asks for a real one', async () => {
    const decision = await ask({ tool: 'bank/wire', declared: { approved: true } })
    expect(decision.effect).toBe('deny')
    const plain = await ask({ tool: 'bank/wire' })
    expect(plain).toMatchObject({ effect: 'deny', obligations: [{ type: 'human_approval' }] })
  })
})

describe('an approval that the issuer has signed is for that very call', () => {
  const details = [
    {
      type: 'tool_call',
      tools: ['bank/pay'],
      arguments: { to: 'ACME Ltd', cents: { max: 5_000 } },
      expires: NOON / 1000 + 60,
    },
  ]
  test.each<[string, JsonObject, string]>([
    ['the call as it was approved', { to: 'ACME Ltd', cents: 5_000 }, 'policy.permit'],
    ['more money', { to: 'ACME Ltd', cents: 5_001 }, 'scope.authorization_details'],
    ['another recipient', { to: 'Mallory', cents: 1 }, 'scope.authorization_details'],
    ['a recipient left out', { cents: 1 }, 'scope.authorization_details'],
  ])('%s', async (_what, input, code) => {
    const claims = { authorization_details: details }
    expect(codeOf(await ask({ tool: 'bank/pay', arguments: input }, claims))).toBe(code)
  })

  test('another tool, and the same call after its end', async () => {
    const input = { to: 'ACME Ltd', cents: 1 }
    const over = details.map((each) => ({ ...each, expires: NOON / 1000 }))
    expect(codeOf(await ask({ tool: 'bank/pay', arguments: input }, { authorization_details: over }))).toBe(
      'scope.authorization_details',
    )
    expect(
      codeOf(await ask({ tool: 'bank/wire', arguments: input }, { authorization_details: details })),
    ).toBe('scope.authorization_details')
  })

  test('it forces nothing: what policies do not permit stays denied', async () => {
    const claims = { authorization_details: [{ type: 'tool_call', tools: ['bank/close'] }] }
    expect(codeOf(await ask({ tool: 'bank/close' }, claims))).toBe('policy.no_permit')
  })
})
