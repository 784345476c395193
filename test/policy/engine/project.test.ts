import { describe, expect, test } from 'vitest'
import type { Value } from '#model/value.ts'
import { project } from '#policy/engine/project.ts'
import { uniteReads } from '#policy/engine/read-plan.ts'
import type { Query } from '#policy/port.ts'
import { facts, policyRecord, query, uid } from '../../support/policy-records.ts'

const reference = (text: string): Value => ({ kind: 'entity', uid: uid(text) })
const record = (fields: { readonly [name: string]: Value }): Value => ({
  kind: 'record',
  fields: new Map(Object.entries(fields)),
})

/** What the engine would be sent for these conditions, with unscoped permits. */
function projected(conditions: readonly string[], asked: Query): unknown {
  const texts = conditions.map(
    (each, i) => `@id("p${i}") permit(principal, action, resource) when { ${each} };`,
  )
  return JSON.parse(JSON.stringify(project(uniteReads(texts.map(policyRecord)), asked)))
}

const person = facts(
  uid('A::"p"'),
  { level: 3, name: 'n', home: record({ city: 'c', zip: 'z', host: reference('A::"q"') }) },
  [uid('G::"g"'), uid('G::"h"')],
)
const other = facts(uid('A::"q"'), { level: 7, boss: reference('A::"p"') }, [uid('G::"g"')])
const thing = facts(uid('R::"r"'), { owner: reference('A::"q"'), size: 1 })
const everyone = [person, other, thing]

describe('the projection', () => {
  test('sends nothing that no policy can read', () => {
    const context = new Map([['secret', 's']])
    expect(projected(['true'], query(everyone, { context }))).toEqual({ context: {}, entities: [] })
  })

  test('sends the attributes that are read, of exactly those entities', () => {
    expect(projected(['principal.level > 1', 'resource.owner.level > 1'], query(everyone))).toEqual({
      context: {},
      entities: [
        { uid: uid('A::"p"'), attrs: { level: 3 }, parents: [] },
        {
          uid: uid('R::"r"'),
          attrs: { owner: { __entity: uid('A::"q"') } },
          parents: [],
        },
        { uid: uid('A::"q"'), attrs: { level: 7 }, parents: [] },
      ],
    })
  })

  test('always sends the action with its whole ancestor closure', () => {
    const actionAncestors = [uid('Action::"group"'), uid('Action::"top"')]
    expect(projected(['true'], query([], { actionAncestors }))).toEqual({
      context: {},
      entities: [{ uid: uid('Action::"act"'), attrs: {}, parents: actionAncestors }],
    })
  })

  test('sends ancestors flattened, and without the entity itself', () => {
    const looped = facts(uid('A::"p"'), {}, [uid('A::"p"'), uid('G::"g"')])
    expect(projected(['principal in G::"g"'], query([looped]))).toMatchObject({
      entities: [{ parents: [uid('G::"g"')] }],
    })
  })

  test('sends fields of a record one by one, or all where the record is used whole', () => {
    expect(projected(['principal.home.city == "c"'], query(everyone))).toMatchObject({
      entities: [{ attrs: { home: { city: 'c' } } }],
    })
    expect(projected(['context.home == principal.home'], query(everyone))).toMatchObject({
      entities: [{ attrs: { home: { city: 'c', zip: 'z', host: { __entity: uid('A::"q"') } } } }],
    })
  })

  test('a record that one policy uses whole stays whole where another reads one field far inside', () => {
    const nested = facts(uid('A::"p"'), { home: record({ at: record({ x: 1, y: 2 }), zip: 'z' }) })
    const conditions = ['principal.home.at.x == 1', 'context.home == principal.home']
    for (const order of [conditions, conditions.toReversed()]) {
      expect(projected(order, query([nested]))).toMatchObject({
        entities: [{ attrs: { home: { at: { x: 1, y: 2 }, zip: 'z' } } }],
      })
    }
  })

  test('keeps both parts of a record whose reference leads back to its own entity', () => {
    const own = facts(uid('A::"p"'), { home: record({ city: 'c', host: reference('A::"p"'), zip: 'z' }) })
    const sent = projected(['principal.home.host.home.zip == principal.home.city'], query([own]))
    expect(sent).toMatchObject({
      entities: [{ attrs: { home: { city: 'c', zip: 'z', host: { __entity: uid('A::"p"') } } } }],
    })
  })

  test('sends all tags where tags are read', () => {
    const tagged = { ...person, tags: new Map<string, Value>([['x', reference('A::"q"')]]) }
    expect(projected(['principal.hasTag("x")'], query([tagged, other]))).toEqual({
      context: {},
      entities: [{ uid: uid('A::"p"'), attrs: {}, parents: [], tags: { x: { __entity: uid('A::"q"') } } }],
    })
  })

  test('follows everything where the reads can not be bounded', () => {
    const tagged = { ...thing, tags: new Map<string, Value>([['x', reference('A::"q"')]]) }
    const sent = projected(['resource.getTag("x").boss.level == 3'], query([person, other, tagged]))
    expect(sent).toMatchObject({
      entities: expect.arrayContaining(
        [person, other, thing].map((each) => expect.objectContaining({ uid: each.uid })),
      ),
    })
  })

  test('leaves out an entity that does not exist, so that reading it errors', () => {
    expect(projected(['principal.level > 1'], query([]))).toEqual({ context: {}, entities: [] })
  })

  test('names that JavaScript objects inherit are ordinary attributes', () => {
    const odd = facts(uid('A::"p"'), JSON.parse('{"__proto__": 1, "constructor": 2}'))
    expect(
      JSON.stringify(projected(['principal["__proto__"] == principal["constructor"]'], query([odd]))),
    ).toContain('"attrs":{"__proto__":1,"constructor":2}')
  })
})

describe('limits', () => {
  test('more than 200 reachable entities are refused', () => {
    const chain = (length: number) =>
      Array.from({ length }, (_, i) => facts(uid(`A::"${i}"`), { next: reference(`A::"${i + 1}"`) }))
    const ask = (length: number): unknown =>
      projected(
        ['principal.hasTag("x") && principal.getTag("x").next == principal'],
        query(chain(length), { principal: uid('A::"0"') }),
      )
    expect(ask(200)).toHaveProperty('entities')
    expect(ask(201)).toEqual({ kind: 'limit', detail: 'the query reaches more than 200 entities' })
  })

  test('more than 2,000 ancestors are refused where they must be sent', () => {
    const groups = Array.from({ length: 2_001 }, (_, i) => uid(`G::"${i}"`))
    const asked = query([facts(uid('A::"p"'), {}, groups)])
    expect(projected(['principal in resource'], asked)).toEqual({
      kind: 'limit',
      detail: 'the query reaches more than 2000 ancestors',
    })
    expect(projected(['principal == resource'], asked)).toHaveProperty('entities')
  })
})

describe('values that must not reach the engine', () => {
  const send = (value: Value): unknown =>
    projected(['context.v == 1'], query([], { context: new Map([['v', value]]) }))

  test.each(['__entity', '__extn', '__expr'])('a field named %s, which would be an escape', (name) => {
    expect(() => send(record({ [name]: record({ type: 'A', id: 'p' }) }))).toThrow(
      `the field name \`${name}\` is reserved`,
    )
  })

  test.each([2 ** 53, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('the number %s', (value) => {
    expect(() => send(value)).toThrow('a number is not a safe integer')
  })
})
