import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFindAgent } from '#delegation/find-agent.ts'
import { guardAfter } from '#guards/after.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { Json } from '#model/value.ts'
import { registryOf, TENANT, tenantWith } from '../support/tokens.ts'
import { NOON } from '../support/world.ts'

function entity(type: string, id: string, status: unknown = 'active'): StoredEntity {
  const attrs = status === undefined ? {} : { status: status as string }
  return { uid: { type: `Warder::${type}`, id }, attrs, tags: {}, parents: [] }
}

function identity(
  agent: string | undefined,
  user: string | undefined,
  chain: readonly string[],
): VerifiedIdentity {
  const party = (id: string | undefined) =>
    id === undefined ? undefined : ({ id, provenance: 'verified', properties: {} } as const)
  return {
    tenant: TENANT,
    agent: party(agent),
    user: party(user),
    subject: undefined,
    delegation: { source: 'token', chain: chain.map((id) => ({ issuer: 'i', id })) },
    token: undefined,
  }
}

function guard(
  who: VerifiedIdentity,
  entities: readonly StoredEntity[],
  vocabulary: 'own' | 'warder' = 'warder',
) {
  const tenant = tenantWith([], { registry: registryOf(entities), release: { vocabulary } as Release })
  return guardAfter(who, tenant, createFindAgent(tenant, { tenant: () => undefined }, NOON), NOON)
}

const ALL = [entity('Agent', 'a'), entity('Agent', 'b'), entity('Agent', 'c'), entity('User', 'u')]
const delegated = identity('c', 'u', ['c', 'b', 'a'])
const SUSPENDED = expect.objectContaining({
  code: 'agent.suspended',
  message: 'the agent or one of its actors is suspended',
})

test('registered and active parties pass, an unregistered user too', () => {
  expect(guard(delegated, ALL)).toBeUndefined()
  expect(guard(identity('a', 'nobody', ['a']), ALL)).toBeUndefined()
  expect(guard(identity(undefined, 'u', []), ALL)).toBeUndefined()
})

test.each(['a', 'b', 'c'])('suspending %s stops everybody who acts for it', (id) => {
  const entities = ALL.map((each) => (each.uid.id === id ? entity('Agent', id, 'suspended') : each))
  expect(guard(delegated, entities)).toEqual(SUSPENDED)
})

test.each(['a', 'b', 'c'])('removing %s from the registry stops everybody who acts for it', (id) => {
  expect(
    guard(
      delegated,
      ALL.filter((each) => each.uid.id !== id),
    ),
  ).toEqual({ code: 'agent.unknown', message: 'the agent is not registered', detail: `\`${id}\`` })
})

test.each(['Active', 'enabled', '', 'suspended', true, null])('a status of %o is not active', (status) => {
  expect(guard(identity('a', undefined, []), [entity('Agent', 'a', status)])).toEqual(SUSPENDED)
})

test('a suspended user stops, whoever acts', () => {
  const entities = [...ALL.slice(0, 3), entity('User', 'u', 'suspended')]
  expect(guard(delegated, entities)).toMatchObject({
    code: 'user.suspended',
    message: 'the user is suspended',
  })
  expect(guard(identity(undefined, 'u', []), entities)).toMatchObject({ code: 'user.suspended' })
})

test('an agent and a user of the same name are two entities', () => {
  expect(guard(identity('x', undefined, []), [entity('User', 'x')])).toMatchObject({ code: 'agent.unknown' })
  expect(
    guard(identity('a', 'a', []), [entity('Agent', 'a'), entity('Agent', 'u', 'suspended')]),
  ).toBeUndefined()
})

test('tenants with their own vocabulary need not register parties, but whom they suspend is stopped', () => {
  expect(guard(delegated, [], 'own')).toBeUndefined()
  expect(guard(delegated, [entity('Agent', 'a', 'suspended')], 'own')).toEqual(SUSPENDED)
  expect(guard(delegated, [entity('User', 'u', 'suspended')], 'own')).toMatchObject({
    code: 'user.suspended',
  })
})

test('a suspended client that obtained the token for another actor is stopped; it need not be registered', () => {
  const token = {
    issuer: 'i',
    subject: 'u',
    id: undefined,
    expiresAt: 0 as EpochSeconds,
    issuedAt: undefined,
    scopes: [],
    client: 'broker',
  }
  expect(guard({ ...delegated, token }, ALL)).toBeUndefined()
  expect(guard({ ...delegated, token }, [...ALL, entity('Agent', 'broker')])).toBeUndefined()
  expect(guard({ ...delegated, token }, [...ALL, entity('Agent', 'broker', 'suspended')])).toEqual(SUSPENDED)
})

test('suspending anybody never lets somebody pass who was stopped', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'u', 'z')
  fc.assert(
    fc.property(
      names,
      names,
      fc.array(names, { maxLength: 4 }),
      fc.subarray(ALL),
      names,
      (agent, user, chain, entities, victim) => {
        const who = identity(agent, user, chain)
        const fewer = entities.map((each) =>
          each.uid.id === victim ? { ...each, attrs: { status: 'suspended' } } : each,
        )
        if (guard(who, entities) !== undefined) expect(guard(who, fewer)).toBeDefined()
      },
    ),
  )
})

test('an agent without a status is not active', () => {
  const agent = { ...entity('Agent', 'a'), attrs: {} }
  expect(guard(identity('a', undefined, []), [agent])).toEqual(SUSPENDED)
})

const at = (milliseconds: number) => ({
  __extn: { fn: 'datetime', arg: new Date(milliseconds).toISOString() },
})
const spawned = (parent: Json) => ({ spawnedBy: { __entity: parent } })
const withAttrs = (id: string, attrs: StoredEntity['attrs'], parents: StoredEntity['parents'] = []) => ({
  ...entity('Agent', id),
  attrs: { status: 'active', ...attrs },
  parents,
})

test.each<[string, StoredEntity['attrs'], string]>([
  ['was never activated', { status: 'pending' }, 'agent.pending'],
  ['was retired', { status: 'retired' }, 'agent.retired'],
  ['expired a moment ago', { expiresAt: at(NOON) }, 'agent.expired'],
  ['has an end that is no instant', { expiresAt: 'tomorrow' }, 'agent.expired'],
  ['has an end of another kind', { expiresAt: { __extn: { fn: 'ip', arg: '2999-01-01' } } }, 'agent.expired'],
  ['was spawned by nobody known', spawned({ type: 'Warder::Agent', id: 'gone' }), 'agent.suspended'],
  ['was spawned by a user', spawned({ type: 'Warder::User', id: 'u' }), 'agent.suspended'],
  ['was spawned by itself', spawned({ type: 'Warder::Agent', id: 'x' }), 'agent.suspended'],
  ['has a parent that can not be read', { spawnedBy: 'a' }, 'agent.suspended'],
])('an agent that %s is stopped, first or at any hop', (_, attrs, code) => {
  const entities = [...ALL, withAttrs('x', attrs)]
  expect(guard(identity('x', 'u', ['x']), entities)).toMatchObject({ code })
  expect(guard(identity('c', 'u', ['c', 'x', 'a']), entities)).toMatchObject({ code })
  expect(guard(identity('x', undefined, []), entities)).toMatchObject({ code })
})

test('an agent before its end passes', () => {
  expect(
    guard(identity('x', 'u', ['x']), [...ALL, withAttrs('x', { expiresAt: at(NOON + 1) })]),
  ).toBeUndefined()
})

test('stopping whoever spawned an agent stops it, over generations', () => {
  const child = (id: string, parent: string) => withAttrs(id, spawned({ type: 'Warder::Agent', id: parent }))
  const family = [entity('User', 'u'), child('y', 'x'), child('x', 'w')]
  expect(guard(identity('y', 'u', ['y']), [...family, entity('Agent', 'w')])).toBeUndefined()
  for (const status of ['suspended', 'retired', 'pending'])
    expect(guard(identity('y', 'u', ['y']), [...family, entity('Agent', 'w', status)])).toBeDefined()
})

test('a stopped blueprint stops every agent that was made from it', () => {
  const uid = { type: 'Warder::Blueprint', id: 'triage' }
  const blueprint = (status: string) => ({ uid, attrs: { status }, tags: {}, parents: [] })
  const agent = withAttrs('x', {}, [uid])
  expect(guard(identity('x', 'u', ['x']), [agent, blueprint('active')])).toBeUndefined()
  expect(guard(identity('x', 'u', ['x']), [agent, blueprint('stopped')])).toEqual(SUSPENDED)
})
