import { describe, expect, test } from 'vitest'
import { compileFolder } from '#policy/compile/compile.ts'
import { findings, folder, release } from './fixture.ts'

const POLICY = '@id("p") permit(principal is Warder::Agent, action in Warder::Action::"callTool", resource);'
const added = (body: string, rest = '') =>
  release({ 'p.cedar': POLICY, 't.cedarschema': `namespace Warder {\n${body}\n}\n${rest}` })
const action = (body: string, id: string) =>
  added(body).schema?.actions.find(({ uid }) => uid.type === 'Warder::Action' && uid.id === id)

describe('actions that a tenant adds to Warder', () => {
  test('an action without anything gets callTool, the parties, the resources and the context of every call', () => {
    const found = action('  action "github/delete";', 'github/delete')
    expect(found).toMatchObject({
      groups: [{ type: 'Warder::Action', id: 'callTool' }],
      principals: ['Warder::Agent', 'Warder::User'],
      resources: ['Warder::Tool', 'Warder::Resource'],
    })
    expect(found?.context['autonomous']).toEqual({ type: { kind: 'bool' }, required: true })
  })

  test('a record context keeps its own attributes beside those of every call', () => {
    const found = action(
      'action "pay/send" in [writeTools] appliesTo { context: { arguments: { amount: Long, "to": String } }, principal: [Agent], resource: Tool };',
      'pay/send',
    )
    expect(found?.groups.map(({ id }) => id)).toEqual(['writeTools', 'callTool'])
    expect(found?.principals).toEqual(['Warder::Agent'])
    expect(found?.context['arguments']).toEqual({
      type: {
        kind: 'record',
        attrs: {
          amount: { type: { kind: 'long' }, required: true },
          to: { type: { kind: 'string' }, required: true },
        },
      },
      required: true,
    })
    expect(found?.context['risk']?.required).toBe(true)
    expect(found?.context['session']?.required).toBe(false)
  })

  test.each([
    ['an empty record', 'action "a/b" appliesTo { principal: Agent, resource: Tool, context: {} };'],
    ['no context', 'action "a/b" appliesTo { principal: Agent, resource: Tool };'],
    [
      'the context by name',
      'action "a/b" appliesTo { principal: Agent, resource: Tool, context: CallContext };',
    ],
    ['annotations', '@doc("in; {") action "a/b" in callTool;'],
    ['several names', 'action "x/y", "a/b" in [readTools, writeTools];'],
    ['names like keywords', 'action context, appliesTo, attributes; action "a/b";'],
    ['a comment with brackets', '// } ; {\n action "a/b" /* */;'.replace(' /* */', '')],
    [
      'attributes',
      'action "a/b" appliesTo { principal: Agent, resource: Tool, context: { tools: { context: Long } } };',
    ],
  ])('with %s', (_, body) => {
    expect(action(body, 'a/b')?.context['now']).toEqual({
      type: { kind: 'extension', fn: 'datetime' },
      required: true,
    })
  })

  test.each([
    ['a redeclared group', 'action readTools;', 'schema.invalid'],
    ['a closing bracket too many', '}', 'schema.syntax'],
    ['an entity type', 'entity Tool2;', 'schema.warder_namespace'],
    ['a common type', 'type CallContext = {};', 'schema.warder_namespace'],
    [
      'an attribute of every call behind an escape',
      'action "a/b" appliesTo { principal: Agent, resource: Tool, context: { "ri\\u{73}k": Long } };',
      'schema.context_redeclared',
    ],
  ])('%s is refused', (_, body, code) => {
    const found = findings({ 'p.cedar': POLICY, 't.cedarschema': `namespace Warder {\n${body}\n}` })
    expect(found.map((finding) => finding.code)).toContain(code)
  })

  test('a namespace inside Warder is refused', () => {
    const found = findings({ 'p.cedar': POLICY, 't.cedarschema': 'namespace Warder::Mine { entity A; }' })
    expect(found).toMatchObject([{ code: 'schema.warder_namespace', line: 1, column: 1 }])
  })
})

describe('files of a tenant', () => {
  test('several blocks and files are merged, and what stands outside of them stays', () => {
    const { schema, schemaText, sources } = release({
      'p.cedar': POLICY,
      'a.cedarschema':
        'namespace Warder { action "a/1"; }\nnamespace Acme { entity Repo; }\nnamespace Warder { action "a/2" appliesTo { principal: Agent, resource: Acme::Repo, context: { } }; }',
      'b.cedarschema': 'namespace Warder { action "b/1"; }',
    })
    expect(schema?.actions.map(({ uid }) => uid.id)).toEqual(
      expect.arrayContaining(['a/1', 'a/2', 'b/1', 'callTool']),
    )
    expect(schema?.entityTypes['Acme::Repo']).toEqual({ attrs: {}, tags: undefined, choices: undefined })
    expect(schemaText?.match(/^namespace Warder/gm)).toHaveLength(1)
    expect(sources.map(({ name }) => name)).toEqual(['a.cedarschema', 'b.cedarschema', 'p.cedar'])
  })
})

describe('tools that only policies name', () => {
  const named = (id: string) => ({
    'p.cedar': `@id("p") permit(principal is Warder::Agent, action == Warder::Action::${id}, resource);`,
  })

  test('are declared in callTool, so that the policy validates', () => {
    const { schemaText, schema, validated } = release(named('"github/delete \\"x\\" é"'))
    expect(schemaText).toContain('action "github/delete \\"x\\" é" in [callTool]')
    expect(schema?.actions).toHaveLength(4)
    expect(validated).toBe(true)
  })

  test('but a misspelt group is pointed out', () => {
    // Which of the groups the engine suggests depends on what it was asked before.
    const help = expect.stringMatching(/^did you mean `Warder::Action::"(callTool|readTools|writeTools)"`\?$/)
    expect(findings(named('"readTool"'))).toMatchObject([{ code: 'policy.validation', help }])
  })
})

describe('the vocabulary', () => {
  const own = '@id("p") permit(principal is User, action, resource);'
  const guardrails = { 'g.cedar': '@id("warder.g") forbid(principal is Warder::Agent, action, resource);' }

  test('is the tenant’s own while nothing names Warder; guardrails and our schema stay out', () => {
    const outcome = compileFolder(folder({ 'p.cedar': `// Warder::Agent\n${own}` }, guardrails))
    expect(outcome).toMatchObject({
      ok: true,
      release: {
        vocabulary: 'own',
        validated: false,
        schema: undefined,
        schemaText: undefined,
        policyCount: 1,
      },
      warnings: [{ code: 'schema.missing', severity: 'warning' }],
    })
  })

  test('is validated against the tenant’s own schema alone', () => {
    const found = release(
      {
        'p.cedar': own,
        's.cedarschema': 'entity User, R; action a appliesTo { principal: User, resource: R };',
      },
      guardrails,
    )
    expect(found).toMatchObject({ vocabulary: 'own', validated: true, policyCount: 1 })
    expect(new Set(Object.keys(found.schema?.entityTypes ?? {}))).toEqual(new Set(['R', 'User']))
  })

  test.each([
    ['a policy', { 'p.cedar': POLICY }],
    ['a schema', { 'p.cedar': '', 's.cedarschema': 'namespace Warder { action "a/b"; }' }],
  ])('is ours once %s names Warder; guardrails join in', (_, files) => {
    const { vocabulary, policies } = release(files, guardrails)
    expect(vocabulary).toBe('warder')
    expect(policies.at(-1)).toMatchObject({ id: 'warder.g', origin: 'guardrail', file: 'g.cedar' })
  })
})

test('the schema model writes out types, tags, choices and groups', () => {
  const { schema } = release({
    'p.cedar': '@id("p") permit(principal is N::A, action, resource);',
    's.cedarschema': `
      type T = { b?: Set<N::E>, i: ipaddr, d: __cedar::duration };
      namespace N { entity E enum ["x", "y"]; type L = Long; entity A in [A] { t: T, l: L } tags Set<T>;
        action g; action a in [g] appliesTo { principal: A, resource: A, context: { e: decimal } }; action b in [a]; }`,
  })
  const t = {
    kind: 'record',
    attrs: {
      b: { type: { kind: 'set', element: { kind: 'entity', type: 'N::E' } }, required: false },
      i: { type: { kind: 'extension', fn: 'ip' }, required: true },
      d: { type: { kind: 'extension', fn: 'duration' }, required: true },
    },
  }
  const uid = (id: string) => ({ type: 'N::Action', id })
  expect(schema).toEqual({
    entityTypes: {
      'N::A': {
        attrs: { t: { type: t, required: true }, l: { type: { kind: 'long' }, required: true } },
        tags: { kind: 'set', element: t },
        choices: undefined,
      },
      'N::E': { attrs: {}, tags: undefined, choices: ['x', 'y'] },
    },
    actions: [
      {
        uid: uid('a'),
        groups: [uid('g')],
        principals: ['N::A'],
        resources: ['N::A'],
        context: { e: { type: { kind: 'extension', fn: 'decimal' }, required: true } },
      },
      { uid: uid('b'), groups: [uid('a'), uid('g')], principals: [], resources: [], context: {} },
      { uid: uid('g'), groups: [], principals: [], resources: [], context: {} },
    ],
  })
})

test('common types that multiply without bound are refused', () => {
  const types = Array.from({ length: 40 }, (_, i) => `type T${i + 1} = { a: T${i}, b: T${i} };`).join('\n')
  const found = findings({
    'p.cedar': POLICY,
    's.cedarschema': `namespace M { type T0 = Long;\n${types.split('\n').slice(0, 18).join('\n')}\nentity A { t: T18 }; }`,
  })
  expect(found).toMatchObject([{ code: 'schema.too_large' }])
})
