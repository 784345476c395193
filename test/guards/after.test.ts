import fc from 'fast-check'
import { expect, test } from 'vitest'
import { guardAfter } from '#guards/after.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import { registryOf, TENANT, tenantWith } from '../support/tokens.ts'

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
  return guardAfter(
    who,
    tenantWith([], { registry: registryOf(entities), release: { vocabulary } as Release }),
  )
}

const ALL = [entity('Agent', 'a'), entity('Agent', 'b'), entity('Agent', 'c'), entity('User', 'u')]
const delegated = identity('c', 'u', ['c', 'b', 'a'])
const SUSPENDED = { code: 'agent.suspended', message: 'the agent or one of its actors is suspended' }

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
  ).toEqual({
    code: 'agent.unknown',
    message: 'the agent is not registered',
  })
})

test.each(['Active', 'enabled', '', 'suspended', true, null])('a status of %o is not active', (status) => {
  expect(guard(identity('a', undefined, []), [entity('Agent', 'a', status)])).toEqual(SUSPENDED)
})

test('a suspended user stops, whoever acts', () => {
  const entities = [...ALL.slice(0, 3), entity('User', 'u', 'suspended')]
  expect(guard(delegated, entities)).toEqual({ code: 'user.suspended', message: 'the user is suspended' })
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
