import { describe, expect, test } from 'vitest'
import { native } from '#gateways/native.ts'
import type { JsonObject } from '#model/value.ts'
import { jsonWire } from '../support/wire.ts'
import {
  AGENTS,
  ASK,
  act,
  agent,
  askWire,
  codeOf,
  federation,
  grant,
  ISSUER,
  PARTNER,
  type Scene,
  TOOL,
  tokenOf,
  worldOf,
} from './scene.ts'

const SUSPENDED: Scene = {
  agents: [...AGENTS.filter(({ uid }) => uid.id !== 'a'), agent('a', { status: 'suspended' })],
}
const ACTOR: Scene = { rules: { actorRequired: ['callTool'] } }

async function answer(claims: JsonObject, scene: Scene = {}, body: JsonObject = {}): Promise<string> {
  const world = await worldOf(scene)
  const asked = { tool: TOOL, credentials: { access_token: await tokenOf(claims) }, ...body }
  const decision = await askWire(world, [native, jsonWire('/v1/decide', asked)])
  expect(decision.effect).toBe(codeOf(decision) === 'policy.permit' ? 'allow' : 'deny')
  return codeOf(decision)
}

test('what the tricks below begin with is allowed, so that a deny means something', async () => {
  expect(await answer({ act: act('c', 'b', 'a') ?? {} })).toBe('policy.permit')
  expect(await answer({ client_id: 'b' })).toBe('policy.permit')
})

describe('a suspended actor is not hidden', () => {
  test.each<[string, JsonObject, string]>([
    ['by its name alone', { act: act('c', 'b', 'a') ?? {} }, 'agent.suspended'],
    ['behind null', { act: { sub: 'c', act: null } }, 'token.claim_invalid'],
    ['in a list', { act: { sub: 'c', act: [{ sub: 'a' }] } }, 'token.claim_invalid'],
    ['in a list at the top', { act: [{ sub: 'c' }, { sub: 'a' }] }, 'token.claim_invalid'],
    ['in a text', { act: { sub: 'c', act: '{"sub":"a"}' } }, 'token.claim_invalid'],
    ['under an empty name', { act: { sub: 'c', act: { sub: '' } } }, 'token.claim_invalid'],
    ['under a name in a list', { act: { sub: 'c', act: { sub: ['a'] } } }, 'token.claim_invalid'],
    ['under another spelling', { act: { sub: 'c', act: { sub: 'A' } } }, 'agent.unknown'],
    ['under a name with a space', { act: { sub: 'c', act: { sub: 'a ' } } }, 'agent.unknown'],
    [
      'under a name with a mark that nobody sees',
      { act: { sub: 'c', act: { sub: 'a\u200b' } } },
      'agent.unknown',
    ],
    [
      'under a name that every object has',
      { act: { sub: 'c', act: { sub: 'constructor' } } },
      'agent.unknown',
    ],
    [
      'as an actor of another issuer',
      { act: { sub: 'c', act: { sub: 'a', iss: PARTNER } } },
      'agent.suspended',
    ],
    ['as the client that obtained the token', { client_id: 'a', act: { sub: 'c' } }, 'agent.suspended'],
  ])('%s', async (_what, claims, code) => {
    expect(await answer(claims, SUSPENDED)).toBe(code)
  })
})

describe('an issuer does not speak for another', () => {
  test.each<[string, JsonObject, string]>([
    ['as the other', { act: { sub: 'b', iss: PARTNER } }, 'chain.issuer'],
    ['by a slash more', { act: { sub: 'b', iss: `${ISSUER}/` } }, 'token.issuer_unknown'],
    ['in capitals', { act: { sub: 'b', iss: ISSUER.toUpperCase() } }, 'token.issuer_unknown'],
    ['as the registry of API keys', { act: { sub: 'b', iss: 'urn:warder:api-key' } }, 'token.issuer_unknown'],
    ['as nobody', { act: { sub: 'b', iss: '' } }, 'token.issuer_unknown'],
  ])('%s', async (_what, claims, code) => {
    expect(await answer(claims)).toBe(code)
  })
})

describe('authority that an actor brings along is none', () => {
  test.each(['scope', 'aud', 'exp', 'cnf', 'may_act', 'authorization_details'])(
    '`act.%s`',
    async (member) => {
      expect(await answer({ act: { sub: 'b', [member]: 'crm.read' } })).toBe('token.claim_invalid')
      expect(await answer({ act: { sub: 'c', act: { sub: 'b', [member]: 'crm.read' } } })).toBe(
        'token.claim_invalid',
      )
    },
  )

  test('scopes that an actor once had are not those of the token', async () => {
    const scene: Scene = { rules: { scopes: { readTools: ['crm.read'] } } }
    expect(await answer({ scope: 'mail.read', act: act('b') ?? {} }, scene)).toBe('scope.insufficient')
  })
})

describe('what is said beside the token does not name its actor', () => {
  const plain = { client_id: 'b' }
  test.each<[string, JsonObject, JsonObject, string]>([
    ['its client', plain, {}, 'chain.actor'],
    ['the agent of the request', plain, { agent: 'b' }, 'chain.actor'],
    ['the actors of the request', plain, { user: 'alice', actors: ['b'] }, 'chain.actor'],
    ['another agent', plain, { agent: 'c' }, 'identity.mismatch'],
    ['more actors', plain, { user: 'alice', actors: ['c', 'b'] }, 'identity.mismatch'],
    ['may_act', { ...plain, may_act: { sub: 'b' } }, {}, 'chain.actor'],
    ['a facet of another issuer', { ...plain, xms_act_fct: '11' }, {}, 'chain.actor'],
    [
      'receipts and proofs',
      { ...plain, actor_receipts: ['a.b.c'], actor_proofs: ['a.b.c'] },
      {},
      'chain.actor',
    ],
    ['an actor that is the user', { ...plain, act: { sub: 'alice' } }, {}, 'agent.unknown'],
    ['an actor without a name', { ...plain, act: {} }, {}, 'token.claim_invalid'],
  ])('%s', async (_what, claims, body, code) => {
    expect(await answer(claims, ACTOR, body)).toBe(code)
  })

  test('without a token a gateway’s word does not either', async () => {
    const world = await worldOf(ACTOR)
    const decision = await askWire(world, [
      native,
      jsonWire('/v1/decide', { tool: TOOL, agent: 'b', user: 'alice' }),
    ])
    expect(codeOf(decision)).toBe('chain.actor')
  })

  test.each(Object.keys(ASK))('in %s too', async (dialect) => {
    const world = await worldOf({ rules: { actorRequired: [TOOL] } })
    const token = await tokenOf(plain)
    expect(codeOf(await askWire(world, ASK[dialect]?.(token) ?? expect.unreachable()))).toBe('chain.actor')
  })
})

test('who leaves the user out does not get around what its user may not do', async () => {
  // An agent that may act alone is asked about as itself; one that may not is refused.
  expect(await answer({ sub: 'b', client_id: 'b' })).toBe('policy.no_permit')
  expect(await answer({ sub: 'alice', client_id: 'b', azp: 'alice' })).toBe('policy.no_permit')
})

test('an actor in between gets nobody around a grant that has ended', async () => {
  const grants = [grant('user:alice', 'b', { isRevoked: true })]
  expect(await answer({ act: act('b') ?? {} }, { grants })).toBe('chain.grant')
  expect(await answer({ act: act('b', 'a') ?? {} }, { grants })).toBe('chain.grant')
  expect(await answer({ act: act('c', 'b', 'a') ?? {} }, { grants })).toBe('chain.grant')
})

test('an agent of another tenant does not become one of ours by its id', async () => {
  const scene: Scene = {
    foreign: [agent('guest', { tenant: { __entity: { type: 'Warder::Tenant', id: 'beta' } } })],
    federations: [federation({ agents: ['other'] })],
  }
  expect(await answer({ act: act('guest') ?? {} }, scene)).toBe('agent.unknown')
  expect(await answer({ act: act('b', 'guest') ?? {} }, scene)).toBe('agent.unknown')
})
