import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StoredEntity } from '#model/registry.ts'
import { parseRegistry } from '#registry/parse-registry.ts'

function problemsOf(file: unknown): readonly string[] {
  const parsed = parseRegistry(typeof file === 'string' ? file : JSON.stringify(file))
  return parsed.ok ? [] : parsed.failure.map(({ path, message }) => `${path}: ${message}`)
}

function entitiesOf(file: unknown, tenant?: string): readonly StoredEntity[] {
  const parsed = parseRegistry(JSON.stringify(file), tenant === undefined ? undefined : { tenant })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  return parsed.value.entities
}

function withAttribute(value: unknown): unknown {
  return { entities: [{ uid: { type: 'T', id: '1' }, attrs: { a: value }, parents: [] }] }
}

test('every spelling of a uid names the same entity', () => {
  const uid = { type: 'App::User', id: 'a"b' }
  for (const spelling of [uid, { __entity: uid }, 'App::User::"a\\"b"', 'App::User::"a\\u{22}b"']) {
    expect(entitiesOf({ entities: [{ uid: spelling }] })).toEqual([{ uid, attrs: {}, tags: {}, parents: [] }])
  }
})

test('attributes keep their explicit escapes', () => {
  const attrs = {
    owner: { __entity: { type: 'U', id: 'a' } },
    from: { __extn: { fn: 'ip', arg: '10.0.0.0/8' } },
    price: { __extn: { fn: 'decimal', arg: '0.5' } },
    until: { __extn: { fn: 'datetime', arg: '2026-02-28T10:00:00Z' } },
    window: { __extn: { fn: 'duration', arg: '1h30m' } },
    nested: { list: [1, 'two', { three: true }] },
  }
  const [entity] = entitiesOf({ entities: [{ uid: { type: 'T', id: '1' }, attrs, tags: { k: 'v' } }] })
  expect(entity?.attrs).toEqual(attrs)
  expect(entity?.tags).toEqual({ k: 'v' })
})

test.each([
  [null, 'entities[0].attrs.a: null is not a Cedar value'],
  [0.5, 'entities[0].attrs.a: the number is not whole'],
  [2 ** 53, 'entities[0].attrs.a: the number lies beyond 2^53 and would lose digits'],
  ['\ud800', 'entities[0].attrs.a: the text is not valid Unicode'],
  [{ b: [1, { c: 1.5 }] }, 'entities[0].attrs.a.b[1].c: the number is not whole'],
  [{ __expr: 'User::"a"' }, 'entities[0].attrs.a: expressions (`__expr`) are not accepted'],
  [
    { __extn: { fn: 'unknown', arg: 'x' } },
    'entities[0].attrs.a.__extn.fn: `unknown` is not a function that a value can use',
  ],
  [
    { __extn: { fn: 'constructor', arg: 'x' } },
    'entities[0].attrs.a.__extn.fn: `constructor` is not a function that a value can use',
  ],
  [
    { __extn: { fn: 'ip', arg: '::ffff:1.2.3.4' } },
    'entities[0].attrs.a.__extn.arg: `::ffff:1.2.3.4` is not a valid ip',
  ],
  [
    { __extn: { fn: 'ip', arg: '10.0.0.0/33' } },
    'entities[0].attrs.a.__extn.arg: `10.0.0.0/33` is not a valid ip',
  ],
  [
    { __extn: { fn: 'decimal', arg: '0.12345' } },
    'entities[0].attrs.a.__extn.arg: `0.12345` is not a valid decimal',
  ],
  [
    { __extn: { fn: 'datetime', arg: '2026-02-30' } },
    'entities[0].attrs.a.__extn.arg: `2026-02-30` is not a valid datetime',
  ],
  [{ __extn: { fn: 'duration', arg: '' } }, 'entities[0].attrs.a.__extn.arg: `` is not a valid duration'],
  [
    { __entity: { type: 'T', id: '1' }, b: 1 },
    'entities[0].attrs.a: an object with `__entity` can have no other key',
  ],
  [{ __cedar: 1 }, 'entities[0].attrs.a: the key `__cedar` is reserved'],
])('the value %j is refused', (value, problem) => {
  expect(problemsOf(withAttribute(value))).toEqual([problem])
})

test('a key that could reach a prototype is refused', () => {
  expect(problemsOf('{"entities":[{"uid":"T::\\"1\\"","attrs":{"__proto__":{"admin":true}}}]}')).toEqual([
    'entities[0].attrs: the key `__proto__` is reserved',
  ])
})

test('values nested too deeply are refused without exhausting the stack', () => {
  const text = `{"entities":[{"uid":"T::\\"1\\"","attrs":{"a":${'['.repeat(2000)}${']'.repeat(2000)}}}]}`
  expect(problemsOf(text)[0]).toMatch(/values are nested deeper than 16$/)
})

test.each([
  ['[]', ': the file must hold a JSON object'],
  ['{', ': the file is not valid JSON'],
  ['{"entites":[]}', 'entites: is not a section of a registry file'],
  ['{"entities":{}}', 'entities: must be a list'],
  ['{"entities":[1]}', 'entities[0]: must be an object'],
  [
    '{"entities":[{"uid":{"type":"T","id":"1"},"attributes":{}}]}',
    'entities[0]: has the unknown field `attributes`',
  ],
  ['{"entities":[{"uid":{"type":"a b","id":"1"}}]}', 'entities[0].uid: `a b` is not a type name'],
  ['{"entities":[{"uid":{"type":"if::X","id":"1"}}]}', 'entities[0].uid: `if::X` is not a type name'],
  ['{"entities":[{"uid":{"type":"T","id":""}}]}', 'entities[0].uid: `` can not be an id'],
  [
    '{"entities":[{"uid":"T::\\"1\\""},{"uid":"T::\\"1\\""}]}',
    'entities[1]: names the same entity as entities[0]',
  ],
  [
    '{"entities":[{"uid":"T::\\"1\\"","parents":["Action::\\"x\\""]}]}',
    'entities[0].parents: `Action` can not be a parent of `T`',
  ],
  ['{"actions":[{"uid":"T::\\"1\\""}]}', 'actions[0].uid: `T` is not an action type'],
  ['{"actions":[{"name":"x","groups":["T::\\"1\\""]}]}', 'actions[0].groups[0]: `T` is not an action type'],
  [
    '{"tools":[{"id":"s/t","sideEffect":"none"}]}',
    'tools[0].sideEffect: must be `read` or `write` or `destructive`',
  ],
  [
    '{"tools":[{"id":"s/t","route":"GET repos"}]}',
    'tools[0].route: must be a method (or `*`), one space and a path, for example `GET /repos/{id}`',
  ],
  ['{"agents":[{"id":"a","state":"active"}]}', 'agents[0]: has the unknown field `state`'],
  ['{"agents":[{}]}', 'agents[0].id: must be a text of 1 to 1,024 printable characters'],
])('%s is refused with a path', (text, problem) => {
  expect(problemsOf(text)).toEqual([problem])
})

test('an entity that is its own ancestor is refused', () => {
  const of = (id: string, parent: string) => ({ uid: `T::"${id}"`, parents: [`T::"${parent}"`] })
  expect(problemsOf({ entities: [of('a', 'b'), of('b', 'c'), of('c', 'a')] })).toEqual([
    '`T::"a"`: is its own ancestor',
  ])
})

test('a hierarchy that is too deep is refused without exhausting the stack', () => {
  const entities = Array.from({ length: 50_000 }, (_, i) => ({
    uid: `T::"${i}"`,
    parents: [`T::"${i + 1}"`],
  }))
  expect(problemsOf({ entities })).toEqual([expect.stringMatching(/has more than 64 levels of ancestors$/)])
})

test('problems are reported together, at most 50', () => {
  expect(problemsOf({ entities: Array.from({ length: 200 }, () => 1) })).toHaveLength(50)
})

test('plain sections become entities of the shipped schema, in the tenant of the import', () => {
  const tenant = { type: 'Warder::Tenant', id: 'acme' }
  const entities = entitiesOf(
    {
      tenants: [{ id: 'acme', classification: 3 }],
      agents: [{ id: 'bot', owner: 'alice', blueprint: 'bot@1', groups: ['bots'] }],
      tools: [
        {
          id: 'git/push',
          riskTier: 'high',
          sideEffect: 'write',
          sensitiveArguments: ['token'],
          route: 'POST /push',
        },
      ],
      resources: ['doc-1'],
    },
    'acme',
  )
  expect(entities).toEqual([
    { uid: tenant, attrs: { classification: 3 }, tags: {}, parents: [] },
    {
      uid: { type: 'Warder::Agent', id: 'bot' },
      attrs: {
        tenant: { __entity: tenant },
        owner: { __entity: { type: 'Warder::User', id: 'alice' } },
        status: 'active',
        environment: 'any',
      },
      tags: {},
      parents: [{ type: 'Warder::Blueprint', id: 'bot@1' }, { type: 'Warder::Group', id: 'bots' }, tenant],
    },
    {
      uid: { type: 'Warder::Tool', id: 'git/push' },
      attrs: {
        tenant: { __entity: tenant },
        riskTier: 'high',
        sideEffect: 'write',
        touches: [],
        environment: 'any',
        sensitiveArguments: ['token'],
        route: 'POST /push',
      },
      tags: {},
      parents: [{ type: 'Warder::Server', id: 'git' }, tenant],
    },
    {
      uid: { type: 'Warder::Resource', id: 'doc-1' },
      attrs: { tenant: { __entity: tenant }, kind: 'resource', sensitivity: 2, environment: 'any' },
      tags: {},
      parents: [tenant],
    },
    {
      uid: { type: 'Warder::Action', id: 'git/push' },
      attrs: {},
      tags: {},
      parents: [
        { type: 'Warder::Action', id: 'writeTools' },
        { type: 'Warder::Action', id: 'callTool' },
      ],
    },
  ])
})

function groupsOfAction(file: unknown, id: string): readonly string[] {
  const action = entitiesOf(file).find(({ uid }) => uid.type === 'Warder::Action' && uid.id === id)
  return (action?.parents ?? []).map((parent) => parent.id)
}

test('a tool whose side effect is unknown becomes a destructive action', () => {
  expect(groupsOfAction({ tools: ['s/t'] }, 's/t')).toEqual(['destructiveTools', 'callTool'])
  const raw = { entities: [{ uid: 'Warder::Tool::"s/t"', attrs: { sideEffect: 'whatever' } }] }
  expect(groupsOfAction(raw, 's/t')).toEqual(['destructiveTools', 'callTool'])
})

test('an action that the file defines is not overwritten by the one of its tool', () => {
  const file = {
    tools: [{ id: 's/t', sideEffect: 'read' }],
    actions: [{ uid: 'Warder::Action::"s/t"', parents: ['Warder::Action::"writeTools"'] }],
  }
  expect(groupsOfAction(file, 's/t')).toEqual(['writeTools', 'callTool'])
})

test('a plain action name is a Warder action beside Warder entities and an own one otherwise', () => {
  expect(entitiesOf({ actions: ['read', { name: 'write', groups: ['edit'] }] })).toEqual([
    { uid: { type: 'Action', id: 'read' }, attrs: {}, tags: {}, parents: [] },
    { uid: { type: 'Action', id: 'write' }, attrs: {}, tags: {}, parents: [{ type: 'Action', id: 'edit' }] },
  ])
  expect(groupsOfAction({ users: ['a'], actions: ['x'] }, 'x')).toEqual(['destructiveTools', 'callTool'])
})

test.each(['demo', 'authzen-cert', 'authzen-todo', 'authzen-gateway', 'authzen-search'])(
  'the registry of the example %s is accepted',
  (example) => {
    expect(problemsOf(readFileSync(`policies/examples/${example}/registry.json`, 'utf8'))).toEqual([])
  },
)

test('no input makes parseRegistry throw', () => {
  const json = fc.json({ maxDepth: 6 })
  const shaped = fc.record(
    {
      entities: fc.array(fc.jsonValue()),
      actions: fc.array(fc.oneof(fc.string(), fc.jsonValue())),
      tools: fc.array(fc.record({ id: fc.string(), route: fc.oneof(fc.string(), fc.array(fc.string())) })),
      agents: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  const entity = fc.record({
    uid: fc.oneof(fc.record({ type: fc.constantFrom('A', 'B::Action'), id: fc.string() }), fc.string()),
    attrs: fc.jsonValue(),
    parents: fc.array(fc.record({ type: fc.constantFrom('A', 'B::Action'), id: fc.string() })),
  })
  const entities = fc.array(entity).map((list) => JSON.stringify({ entities: list }))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        json,
        shaped.map((value) => JSON.stringify(value)),
        entities,
      ),
      (text) => {
        const parsed = parseRegistry(text)
        expect(parsed.ok || parsed.failure.length > 0).toBe(true)
      },
    ),
    { numRuns: 1000 },
  )
})

test('a file that names a key twice is refused: the later value would silently win', () => {
  const parsed = parseRegistry(
    '{"entities":[{"uid":{"type":"User","id":"a"},"attrs":{"admin":false,"admin":true},"parents":[]}]}',
  )
  expect(parsed).toMatchObject({ ok: false, failure: [{ message: expect.stringContaining('admin') }] })
})

describe('the mapping of a tool or server', () => {
  const evaluation = {
    action: { name: 'tools/call' },
    resource: { type: 'resource', id: "$'customer/' + params.arguments.id" },
  }
  const problemsOf = (file: object) => {
    const parsed = parseRegistry(JSON.stringify(file), { tenant: 'acme' })
    return parsed.ok ? [] : parsed.failure.map(({ path, message }) => `${path}: ${message}`)
  }

  test('is kept as it is', () => {
    const mapping = { evaluation }
    expect(problemsOf({ tools: [{ id: 'crm/get', mapping }], servers: [{ id: 'crm', mapping }] })).toEqual([])
    const [tool] = entitiesOf({ tools: [{ id: 'crm/get', mapping }] }, 'acme')
    expect(tool?.attrs['mapping']).toEqual(mapping)
  })

  test.each<[string, object, string]>([
    [
      'an expression that is none',
      { id: 't', mapping: { evaluation: { ...evaluation, context: { x: '$params.' } } } },
      'tools[0].mapping: `evaluation.context.x`',
    ],
    [
      'the subject from arguments',
      { id: 't', mapping: { evaluation: { ...evaluation, subject: { id: '$params.arguments.user' } } } },
      'tools[0].mapping: `evaluation.subject` says who asks',
    ],
    [
      'a sensitive argument',
      { id: 't', sensitiveArguments: ['id'], mapping: { evaluation } },
      'tools[0].mapping: reads an argument',
    ],
    ['no mapping', { id: 't', mapping: 'x' }, 'tools[0].mapping: must be an object'],
  ])('is refused with its place: %s', (_what, tool, expected) => {
    expect(problemsOf({ tools: [tool] })).toEqual([expect.stringContaining(expected)])
  })

  test('is checked in entity JSON too', () => {
    const uid = { type: 'Warder::Server', id: 'crm' }
    expect(problemsOf({ entities: [{ uid, attrs: { mapping: { evaluations: {} } } }] })).toEqual([
      expect.stringContaining('entities[0].attrs.mapping'),
    ])
  })
})
