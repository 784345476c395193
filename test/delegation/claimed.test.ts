import { describe, expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import { native } from '#gateways/native.ts'
import type { JsonObject } from '#model/value.ts'
import { jsonWire } from '../support/wire.ts'
import { NOON } from '../support/world.ts'
import { AGENTS, act, agent, askWire, codeOf, type Scene, TOOL, tokenOf, worldOf } from './scene.ts'

const askNative = async (body: JsonObject, scene: Scene = {}) =>
  await askWire(await worldOf(scene), [native, jsonWire('/v1/decide', { tool: TOOL, ...body })])

const askAuthzen = async (subject: JsonObject, context: JsonObject = {}, scene: Scene = {}) =>
  await askWire(await worldOf(scene), [
    authzen,
    jsonWire('/access/v1/evaluation', {
      subject,
      action: { name: TOOL },
      resource: { type: 'tool', id: TOOL },
      context,
    }),
  ])

const suspended = (id: string): Scene => ({
  agents: [...AGENTS.filter((each) => each.uid.id !== id), agent(id, { status: 'suspended' })],
})
const user = (properties: JsonObject = {}) => ({ type: 'user', id: 'alice', properties })
const bot = (properties: JsonObject = {}) => ({ type: 'agent', id: 'a', properties })
const nested = (...ids: string[]) => act(...ids) ?? {}

/** Every way to say, without a token, that c acts for b, who acts for a, who acts for alice. */
const SHAPES: { readonly [shape: string]: (scene: Scene) => ReturnType<typeof askNative> } = {
  'native actors': (scene) => askNative({ user: 'alice', actors: ['c', { id: 'b' }, 'a'] }, scene),
  'native actors and agent': (scene) =>
    askNative({ user: 'alice', agent: 'c', actors: ['c', 'b', 'a'] }, scene),
  'AuthZEN nested act of a user': (scene) => askAuthzen(user({ act: nested('c', 'b', 'a') }), {}, scene),
  'AuthZEN context.agent and nested act': (scene) =>
    askAuthzen(user({ act: nested('c', 'b', 'a') }), { agent: 'c' }, scene),
  'AuthZEN agent as subject with an act': (scene) =>
    askAuthzen(bot({ act: nested('c', 'b'), delegation: { delegator_id: 'alice' } }), {}, scene),
}

describe.each(Object.entries(SHAPES))('%s', (_, ask) => {
  test('passes when everybody is active', async () => {
    expect(codeOf(await ask({}))).toBe('policy.permit')
  })

  test.each(['a', 'b', 'c'])('suspending %s stops it', async (id) => {
    expect(codeOf(await ask(suspended(id)))).toBe('agent.suspended')
  })

  test('what a gateway says is no more than declared', async () => {
    expect(codeOf(await ask({ rules: { chainEvidenceMin: 'token' } }))).toBe('chain.evidence')
    expect(codeOf(await ask({ rules: { actorRequired: ['readTools'] } }))).toBe('chain.actor')
    expect(codeOf(await ask({ rules: { chainDepthMax: 2 } }))).toBe('chain.depth')
    expect(codeOf(await ask({ rules: { grantsRequired: true } }))).toBe('chain.grant')
  })
})

test('the three shapes of AuthZEN with one agent are the same delegation', async () => {
  for (const ask of [
    askAuthzen(user(), { agent: 'a' }),
    askAuthzen(user({ act: { sub: 'a' } })),
    askAuthzen(bot({ delegation: { delegator_id: 'alice' } })),
    askAuthzen(bot(), { user: 'alice' }),
  ])
    expect((await ask).identity).toEqual({ agent: 'a', user: 'alice' })
})

test.each<[string, JsonObject]>([
  ['is no object inside', user({ act: { sub: 'c', act: 'b' } })],
  ['has no sub inside', user({ act: { sub: 'c', act: { iss: 'x' } } })],
  ['has an empty sub', user({ act: { sub: '' } })],
  ['has an iss that is no text', user({ act: { sub: 'c', iss: 1 } })],
  ['is deeper than anybody accepts', user({ act: nested(...'ihgfedcba') })],
])('an asserted chain that %s is refused, never cut', (_, subject) => {
  const body = { subject, action: { name: TOOL }, resource: { type: 'tool', id: TOOL } }
  const read = authzen.read(jsonWire('/access/v1/evaluation', body), {} as never, NOON)
  expect(read).toMatchObject({ ok: false, failure: { code: 'request.wrong_type' } })
})

test('actors that contradict the agent are refused', () => {
  const read = native.read(
    jsonWire('/v1/decide', { tool: TOOL, agent: 'a', actors: ['b'] }),
    {} as never,
    NOON,
  )
  expect(read).toMatchObject({ ok: false, failure: { code: 'request.wrong_type' } })
})

describe('beside a token', () => {
  const ask = async (actors: readonly (string | JsonObject)[]) => {
    const token = await tokenOf({ act: nested('c', 'b', 'a') })
    return codeOf(await askNative({ actors: [...actors], credentials: { access_token: token } }))
  }

  test('a copy of its chain passes', async () => {
    expect(await ask(['c', 'b', 'a'])).toBe('policy.permit')
    expect(await ask(['c', { id: 'b', issuer: 'https://idp.example' }, 'a'])).toBe('policy.permit')
  })

  test.each<[string, readonly (string | JsonObject)[]]>([
    ['leaves a hop out', ['c', 'a']],
    ['adds a hop', ['c', 'b', 'a', 'd']],
    ['swaps two hops', ['c', 'a', 'b']],
    ['names another issuer', ['c', { id: 'b', issuer: 'https://evil.example' }, 'a']],
  ])('a copy that %s denies', async (_, actors) => {
    expect(await ask(actors)).toBe('identity.mismatch')
  })
})

test('a token exchange is asked about with may_act: only whom it names may become the actor', async () => {
  const ask = async (claims: JsonObject) => {
    const token = await tokenOf({ act: nested('a'), ...claims })
    const world = await worldOf({})
    const body = { action: 'token_exchange', credentials: { access_token: token } }
    return codeOf(await askWire(world, [native, jsonWire('/v1/decide', body)]))
  }
  expect(await ask({ may_act: { sub: 'b' } })).toBe('chain.may_act')
  expect(await ask({ may_act: { sub: 'a', iss: 'https://partner.example' } })).toBe('chain.may_act')
  expect(await ask({ may_act: 'a' })).toBe('chain.may_act')
  expect(await ask({ may_act: { sub: 'a' } })).not.toBe('chain.may_act')
})

test('a chain without a user needs a policy for an agent alone, and every hop of it can deny', async () => {
  const ask = async (actors: readonly string[], scene: Scene = {}) =>
    codeOf(await askNative({ actors: [...actors] }, scene))
  expect(await ask(['f'])).toBe('policy.permit')
  expect(await ask(['f', 'a'])).toBe('policy.permit')
  expect(await ask(['b', 'a'])).toBe('policy.no_permit')
  expect(await ask(['f', 'a'], suspended('a'))).toBe('agent.suspended')
  expect(await ask(['f', 'zz'])).toBe('agent.unknown')
  expect(await ask(['f', 'a', 'f'])).toBe('chain.cycle')
  expect(await ask(['f', 'a'], { rules: { grantsRequired: true } })).toBe('chain.grant')
})
