import { globSync, readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { readTests, testsJsonSchema } from '#policy/compile/folder-tests.ts'
import { parseRegistry } from '#registry/parse-registry.ts'
import { SHORTHAND_SECTIONS } from '#registry/shorthand.ts'

interface Section {
  readonly items: {
    readonly anyOf: readonly [object, { readonly properties: Readonly<Record<string, object>> }]
  }
}

const REGISTRY = JSON.parse(readFileSync('docs/schemas/registry.schema.json', 'utf8')) as {
  readonly properties: Readonly<Record<string, Section>>
}

/** `strict` makes a misspelt keyword of the schema itself an error. */
function validatorOf(schema: object): ValidateFunction {
  return new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(schema)
}

describe('docs/schemas/policy-tests.schema.json', () => {
  const validate = validatorOf(testsJsonSchema())

  test('is what the compiler checks', async () => {
    const text = `${JSON.stringify(testsJsonSchema(), null, 2)}\n`
    await expect(text).toMatchFileSnapshot('../../docs/schemas/policy-tests.schema.json')
  })

  test.each(globSync('policies/**/tests/*.json'))('%s fits', (path) => {
    validate(JSON.parse(readFileSync(path, 'utf8')))
    expect(validate.errors).toBe(null)
  })

  const request = { principal: 'U::"u"', action: 'A::"a"', resource: 'R::"r"' }
  test.each([
    [{ name: 'x', request, decision: 'allow' }, true],
    [{ name: '', request, decision: 'allow' }, false],
    [{ name: 'x', request, decision: 'maybe' }, false],
    [{ name: 'x', request: { ...request, subject: 'x' }, decision: 'allow' }, false],
    [{ name: 'x', request, decision: 'allow', num_errors: -1 }, false],
    [{ name: 'x', request, decision: 'allow', reasons: [] }, false],
  ])('%j fits: %s, as for the compiler', (item, fits) => {
    expect(validate([item])).toBe(fits)
    const read = readTests({ name: 'tests/t.json', text: JSON.stringify([item]) })
    expect(read.diagnostics.length === 0).toBe(fits)
  })
})

describe('docs/schemas/registry.schema.json', () => {
  const validate = validatorOf(REGISTRY)
  const isRead = (file: object) => parseRegistry(JSON.stringify(file), { tenant: 'demo' }).ok

  test.each(globSync('policies/**/registry.json'))('%s fits', (path) => {
    validate(JSON.parse(readFileSync(path, 'utf8')))
    expect(validate.errors).toBe(null)
  })

  test('has the sections of the parser', () => {
    expect(Object.keys(REGISTRY.properties).toSorted((a, b) => a.localeCompare(b))).toEqual(
      ['actions', 'entities', ...SHORTHAND_SECTIONS].toSorted((a, b) => a.localeCompare(b)),
    )
  })

  test.each(SHORTHAND_SECTIONS)('has the fields of the section %s', (section) => {
    const parsed = parseRegistry(JSON.stringify({ [section]: [{ id: 'x', '~': 1 }] }))
    const help = parsed.ok ? '' : (parsed.failure[0]?.help ?? '')
    const fields = Object.keys(REGISTRY.properties[section]?.items.anyOf[1].properties ?? {})
    expect(help.replace('use ', '').split(', ')).toEqual(expect.arrayContaining(fields))
    expect(fields).toHaveLength(help.split(', ').length)
  })

  test.each([
    {
      users: ['ann', { id: 'bob', status: 'suspended', clearance: 3, groups: ['g'], tenant: 'demo' }],
      groups: ['g'],
    },
    {
      agents: [
        { id: 'a', owner: 'ann', blueprint: 'b@1', status: 'active', environment: 'staging', groups: 'g' },
      ],
    },
    {
      tools: [{ id: 's/t', riskTier: 'low', sideEffect: 'read', touches: ['money'], route: ['GET /x/{y}'] }],
    },
    {
      tools: [
        { id: 's/t', server: 's', sensitivity: 1, sensitiveArguments: ['password'], environment: 'any' },
      ],
    },
    { resources: [{ id: 'r', kind: 'repo', sensitivity: 2, owner: 'ann', parents: ['all'] }, 'all'] },
    { tenants: [{ id: 'demo', classification: 3 }], servers: ['s'] },
    { actions: ['read', { name: 'write', groups: ['all'] }, { uid: { type: 'Action', id: 'x' } }] },
    {
      entities: [{ uid: 'user::"ann"', parents: [{ __entity: { type: 'role', id: 'r' } }], tags: { a: 1 } }],
    },
  ])('%j fits, as for the parser', (file) => {
    validate(file)
    expect(validate.errors).toBe(null)
    expect(isRead(file)).toBe(true)
  })

  test.each([
    [],
    { people: [] },
    { users: {} },
    { users: [''] },
    { users: [{ status: 'active' }] },
    { users: [{ id: 'x', status: 'gone' }] },
    { users: [{ id: 'x', clearance: 4 }] },
    { users: [{ id: 'x', clearence: 1 }] },
    { tools: [{ id: 'x', riskTier: 'huge' }] },
    { tools: [{ id: 'x', touches: ['fire'] }] },
    { tools: [{ id: 'x', touches: 'money' }] },
    { entities: [{ attrs: {} }] },
    { entities: [{ uid: { type: 'A' } }] },
    { entities: [{ uid: { type: 'A', id: 'x' }, attributes: {} }] },
    { actions: [{ groups: ['x'] }] },
  ])('%j fits neither the schema nor the parser', (file) => {
    expect(validate(file)).toBe(false)
    expect(isRead(file)).toBe(false)
  })
})
