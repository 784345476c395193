import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import type { EntityUid } from '#model/value.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'

function uid(id: string, type = 'T'): EntityUid {
  return { type, id }
}

function entity(id: string, parents: readonly string[] = [], type = 'T'): StoredEntity {
  return { uid: uid(id, type), attrs: {}, tags: {}, parents: parents.map((parent) => uid(parent, type)) }
}

function tool(id: string, route: string | readonly string[]): StoredEntity {
  return { uid: uid(id, 'Warder::Tool'), attrs: { route }, tags: {}, parents: [] }
}

function registryOf(...entities: StoredEntity[]): RegistrySnapshot {
  return applyEntities(emptyRegistry(), entities, [])
}

function ids(uids: readonly EntityUid[]): string {
  return uids.map(({ id }) => id).join(' ')
}

test('an empty registry knows nothing', () => {
  const empty = emptyRegistry()
  expect(empty.size).toBe(0)
  expect(empty.find(uid('a'))).toBeUndefined()
  expect(empty.ancestors(uid('a'))).toEqual([])
  expect(empty.ofType('T')).toEqual([])
  expect(empty.matchRoute('GET', '/')).toBeUndefined()
})

test('a snapshot stays as it was for its readers when entities change', () => {
  const before = registryOf(entity('a', ['g1']), entity('g1'))
  const after = applyEntities(before, [entity('a', ['g2'])], [uid('g1')])
  expect(ids(before.ancestors(uid('a')))).toBe('g1')
  expect(before.size).toBe(2)
  expect(ids(after.ancestors(uid('a')))).toBe('g2')
  expect(after.find(uid('g1'))).toBeUndefined()
  expect(after.size).toBe(1)
})

test('ancestors come nearest first, each once, and without the entity itself even in a cycle', () => {
  const registry = registryOf(
    entity('a', ['b', 'c']),
    entity('b', ['d']),
    entity('c', ['d', 'unregistered']),
    entity('d', ['a']),
  )
  expect(ids(registry.ancestors(uid('a')))).toBe('b c d unregistered')
  expect(registry.ancestors(uid('a'))).toBe(registry.ancestors(uid('a')))
})

test('a chain of 20,000 parents is returned whole, because a missing ancestor could silence a forbid', () => {
  const chain = Array.from({ length: 20_000 }, (_, i) => entity(`${i}`, [`${i + 1}`]))
  expect(registryOf(...chain).ancestors(uid('0'))).toHaveLength(20_000)
})

test('types and ids that only differ in where they are split stay apart', () => {
  const registry = registryOf(entity('b', [], 'a'), entity('', [], 'ab'))
  expect(registry.size).toBe(2)
  expect(registry.find(uid('b', 'a'))?.uid).toEqual(uid('b', 'a'))
  expect(registry.find(uid('ab', ''))).toBeUndefined()
  expect(registry.find(uid('__proto__', 'a'))).toBeUndefined()
})

const step = fc.record({
  changed: fc.array(
    fc.record({
      type: fc.constantFrom('A', 'B'),
      id: fc.constantFrom('1', '2', '3', '4', '5', 'constructor'),
      parents: fc.array(fc.constantFrom('1', '2', '3', '9'), { maxLength: 3 }),
    }),
    { maxLength: 6 },
  ),
  removed: fc.array(fc.record({ type: fc.constantFrom('A', 'B', 'C'), id: fc.constantFrom('1', '2', '3') }), {
    maxLength: 3,
  }),
})

test('any sequence of changes gives the same registry as one built from scratch', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      let registry = emptyRegistry()
      const expected = new Map<string, StoredEntity>()
      for (const { changed, removed } of steps) {
        const entities = changed.map(({ type, id, parents }) => entity(id, parents, type))
        registry = applyEntities(registry, entities, removed)
        for (const each of entities) expected.set(`${each.uid.type}/${each.uid.id}`, each)
        for (const each of removed) expected.delete(`${each.type}/${each.id}`)
      }
      const rebuilt = registryOf(...expected.values())
      expect(registry.size).toBe(expected.size)
      for (const type of ['A', 'B', 'C']) {
        expect(registry.ofType(type)).toEqual(rebuilt.ofType(type))
        expect(inOrder(registry, type, '')).toEqual(rebuilt.ofType(type))
      }
      for (const each of expected.values()) {
        expect(registry.find(each.uid)).toEqual(each)
        expect(registry.ancestors(each.uid)).toEqual(rebuilt.ancestors(each.uid))
      }
    }),
  )
})

function inOrder(registry: RegistrySnapshot, type: string, from: string): readonly StoredEntity[] {
  return [...registry.inOrder(type, from)].filter((each) => each !== undefined)
}

test('entities come in the order of their ids from anywhere on, also of large types and after changes, with places to pause', () => {
  const ids = fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 4 }), { minLength: 600, maxLength: 900 })
  fc.assert(
    fc.property(ids, fc.nat(), (all, at) => {
      const [first = '', ...rest] = all
      const before = registryOf(...rest.map((id) => entity(id, [], 'A')))
      const after = applyEntities(before, [entity(first, [], 'A')], [uid(rest[0] ?? '', 'A')])
      const sorted = [first, ...rest.slice(1)].sort((a, b) => (a < b ? -1 : 1))
      const from = all[at % all.length] ?? ''
      const found = inOrder(after, 'A', from).map((each) => each.uid.id)
      expect(found).toEqual(sorted.filter((id) => id >= from))
      expect([...after.inOrder('A', '')].filter((each) => each === undefined).length).toBeGreaterThan(10)
      expect(inOrder(before, 'A', '')).toEqual(before.ofType('A'))
    }),
    { numRuns: 30 },
  )
})

const api = registryOf(
  tool('repos/list', 'GET /repos'),
  tool('repos/get', 'GET /repos/{owner}/{repo}'),
  tool('repos/mine', 'GET /repos/me/{repo}'),
  tool('repos/any', '* /repos/{owner}/{repo}'),
  tool('repos/rest', 'GET /repos/*'),
  tool('files/a', ['GET /files/{x}', 'PUT /files/{x}']),
  tool('files/b', 'GET /files/{y}'),
  tool('root', '* /'),
)

test.each([
  ['GET', '/repos', 'repos/list', {}],
  ['GET', '/repos/acme/web', 'repos/get', { owner: 'acme', repo: 'web' }],
  ['GET', '/repos/me/web', 'repos/mine', { repo: 'web' }],
  ['POST', '/repos/me/web', 'repos/any', { owner: 'me', repo: 'web' }],
  ['GET', '/repos/acme/web/issues/1', 'repos/rest', {}],
  ['GET', '/repos/', 'repos/rest', {}],
  ['GET', '/repos/acme/a%20b', 'repos/get', { owner: 'acme', repo: 'a b' }],
  ['GET', '/repos/acme/%C3%A9', 'repos/get', { owner: 'acme', repo: 'é' }],
  ['PUT', '/files/1', 'files/a', { x: '1' }],
  ['DELETE', '/', 'root', {}],
])('%s %s is the tool %s', (method, path, name, parameters) => {
  expect(api.matchRoute(method, path)).toEqual({ tool: name, parameters })
})

test.each([
  ['GET', '/files/1', 'two tools match equally'],
  ['DELETE', '/repos', 'no method'],
  ['GET', '/unknown', 'no pattern'],
  ['GET', 'repos', 'no leading slash'],
  ['GET', '/repos/../admin', 'dot segment'],
  ['GET', '/repos/%2e%2e/admin', 'encoded dot segment'],
  ['GET', '/repos/acme%2Fweb/x', 'encoded slash'],
  ['GET', '/repos/acme%5Cweb/x', 'encoded backslash'],
  ['GET', '/repos//web', 'empty segment'],
  ['GET', '/repos/acme/web%00', 'encoded control character'],
  ['GET', '/repos/acme/web%25', 'encoded percent'],
  ['GET', '/repos/acme/web;v=1', 'path parameter'],
  ['GET', '/repos/acme/%ff', 'not UTF-8'],
  ['GET', '/repos/acme/%zz', 'not an escape'],
  ['GET', '/repos/acme/wéb', 'unencoded'],
  ['get', '/repos', 'method in lower case'],
])('%s %s is no tool: %s', (method, path) => {
  expect(api.matchRoute(method, path)).toBeUndefined()
})

test('routes follow changes of the registry', () => {
  const changed = applyEntities(api, [tool('files/b', 'GET /other')], [uid('repos/list', 'Warder::Tool')])
  expect(changed.matchRoute('GET', '/files/1')?.tool).toBe('files/a')
  expect(changed.matchRoute('GET', '/repos')).toBeUndefined()
  expect(api.matchRoute('GET', '/files/1')).toBeUndefined()
})
