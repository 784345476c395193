import { beforeAll, expect, test } from 'vitest'
import type { LogRow } from '#decision-log/port.ts'
import { requestFromRow } from '#decision-log/replay.ts'
import { native } from '#gateways/native.ts'
import { parseIssuer } from '#identity/issuer.ts'
import type { Release } from '#model/release.ts'
import type { JsonObject } from '#model/value.ts'
import { makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { jsonWire } from '../support/wire.ts'
import { createWorld, NOON, policyFile, releaseOf } from '../support/world.ts'
import { agent, askWire, codeOf, TOOL, TOOLS } from './scene.ts'

// An account that only an agent uses (`xms_sub_fct` 13) is a user behind whom no person stands.
const TID = '11111111-2222-3333-4444-555555555555'
const URL = `https://login.microsoftonline.com/${TID}/v2.0`
let key: SigningKey
let release: Release
beforeAll(async () => {
  key = await makeKey('RS256', 'rs')
  release = await releaseOf([
    policyFile(`
      @id("agents") permit (principal is Warder::Agent, action, resource) when { !context.autonomous };
      @id("users") permit (principal is Warder::User, action, resource);
      @id("alone") permit (principal == Warder::Agent::"night", action, resource) when { context.autonomous };
      @id("account") permit (principal == Warder::User::"night-account", action, resource) when { context.autonomous };
    `),
  ])
})

async function entra(claims: JsonObject) {
  const jwks = { keys: [{ ...key.jwk }] }
  const parsed = parseIssuer({ issuer: URL, profile: 'entra', audience: 'api://tools', jwks })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  const agents = ['day', 'night'].map((id) => agent(id, { issuer: URL }))
  const world = await createWorld('acme', {
    policies: [],
    release,
    entities: [...TOOLS, ...agents],
    issuers: [parsed.value],
  })
  const seconds = NOON / 1000
  const all = {
    iss: URL,
    aud: 'api://tools',
    sub: 'pairwise',
    tid: TID,
    uti: 'u-1',
    azp: 'day',
    oid: 'person',
    idtyp: 'user',
    scp: 'tools',
    xms_act_fct: '11',
    iat: seconds - 60,
    exp: seconds + 600,
    ...claims,
  }
  const token = await sign(key, all, { typ: 'JWT' })
  const body = { tool: TOOL, credentials: { access_token: token } }
  const decision = await askWire(world, [native, jsonWire('/v1/decide', body)])
  return { decision, row: world.rows[0] }
}

test('a replay knows an agent’s account from a person’s', async () => {
  const { row } = await entra({ oid: 'day-account', xms_sub_fct: '13' })
  const replay = requestFromRow(JSON.parse(JSON.stringify(row)) as LogRow)
  expect(replay).toMatchObject({
    ok: true,
    value: { identity: { user: { id: 'day-account', ofAgent: true } } },
  })
  const person = requestFromRow(JSON.parse(JSON.stringify((await entra({})).row)) as LogRow)
  expect(person.ok && person.value.identity?.user).not.toHaveProperty('ofAgent')
})

test.each<[string, JsonObject, string]>([
  ['a person behind the agent is permitted', {}, 'policy.permit'],
  ['an account of the agent is not', { oid: 'day-account', xms_sub_fct: '13' }, 'policy.no_permit'],
  [
    'where account and agent may act alone, they may',
    { azp: 'night', oid: 'night-account', xms_sub_fct: '3 13' },
    'policy.permit',
  ],
  [
    'where only the agent may, the account stops it',
    { azp: 'night', oid: 'day-account', xms_sub_fct: '13' },
    'policy.autonomous_not_permitted',
  ],
  ['facets in a list are no facets', { oid: 'day-account', xms_sub_fct: ['13'] }, 'token.claim_invalid'],
  ['facets with commas are none either', { oid: 'day-account', xms_sub_fct: '3,13' }, 'token.claim_invalid'],
  ['nor with other spaces', { oid: 'day-account', xms_sub_fct: '3\t13' }, 'token.claim_invalid'],
  ['nor with a zero before', { oid: 'day-account', xms_sub_fct: '013' }, 'token.claim_invalid'],
  ['an actor with facets in a list is no agent', { xms_act_fct: ['11'] }, 'token.claim_invalid'],
])('of an Entra token: %s', async (_what, claims, code) => {
  expect(codeOf((await entra(claims)).decision)).toBe(code)
})
