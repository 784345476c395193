import { expect, test } from 'vitest'
import { diffPolicies } from '#policy/compile/diff-policies.ts'

type Files = Readonly<Record<string, string>>

const sources = (files: Files) => Object.entries(files).map(([name, text]) => ({ name, text }))

function diff(before: Files, after: Files) {
  const found = diffPolicies(sources(before), sources(after))
  if (!found.ok) throw new Error(JSON.stringify(found.failure))
  return found.value
}

const READ =
  '// why\n@id("read")\npermit (principal in G::"g", action == Action::"read", resource)\nwhen { context.a };\n'

test('comments, layout, files and the order of policies do not count', () => {
  const other = '@id("x") forbid(principal, action, resource);'
  expect(
    diff(
      { 'a.cedar': `${READ}${other}`, 's.cedarschema': 'entity G; // g\nentity U in [G];\n' },
      {
        'b.cedar': other,
        'c.cedar':
          '@id("read") permit(principal in G::"g",action==Action::"read",resource)when{((context.a))};',
        't.cedarschema': 'entity U in\n[G];entity G;',
      },
    ),
  ).toEqual({ same: true, added: [], removed: [], changed: [], schema: [] })
})

test('added and removed policies come with what they say', () => {
  const after = {
    'a.cedar': '@id("new") @reason("no") forbid(principal is U, action, resource) unless { context.a };',
  }
  const { added, removed, same } = diff({ 'a.cedar': READ }, after)
  expect(same).toBe(false)
  expect(added).toEqual([
    {
      id: 'new',
      effect: 'forbid',
      scope: 'principal is U, action, resource',
      conditions: ['unless { context.a }'],
      annotations: { reason: 'no' },
    },
  ])
  expect(removed).toMatchObject([{ id: 'read', effect: 'permit', conditions: ['when { context.a }'] }])
})

test.each([
  ['effect', READ.replace('permit', 'forbid')],
  ['scope', READ.replace('G::"g"', 'G::"h"')],
  ['conditions', READ.replace('context.a', '!context.a')],
  ['annotations', READ.replace('@id("read")', '@id("read") @advice("x")')],
])('a change of the %s is named, with the text', (aspect, text) => {
  const { changed } = diff({ 'a.cedar': READ }, { 'a.cedar': text })
  expect(changed).toMatchObject([{ id: 'read', aspects: [aspect] }])
  expect(changed[0]?.text[0]).toMatch(/^@@ /)
  expect(changed[0]?.text.filter((line) => /^[-+]/.test(line))).toHaveLength(2)
})

test('changes of the schema are named by declaration', () => {
  const before =
    'entity G, H;\nnamespace Warder { action "a/b" in ["readTools"]; @doc("x") action "in" in [x]; type T = { a: Long }; }'
  const after =
    'namespace Warder { action "a/b" in ["writeTools"]; action "c"; type T = {\n a: Long }; }\nentity G, H;'
  expect(diff({ 's.cedarschema': before }, { 's.cedarschema': after }).schema).toEqual([
    { change: 'changed', declaration: 'namespace Warder: action "a/b"' },
    { change: 'added', declaration: 'namespace Warder: action "c"' },
    { change: 'removed', declaration: 'namespace Warder: action "in"' },
  ])
})

test.each([
  ['@id("a") permit(principal, actio, resource);', 'policy.syntax'],
  ['permit(principal, action, resource);', 'policy.id_missing'],
  [
    '@id("a") permit(principal, action, resource); @id("a") permit(principal, action, resource);',
    'policy.id_duplicate',
  ],
  ['@id("a") permit(principal, action, resource)', 'policy.syntax'],
  ['// \u202e', 'policy.control_character'],
])('%s can not be compared', (text, code) => {
  expect(diffPolicies([], sources({ 'a.cedar': text }))).toMatchObject({ ok: false, failure: [{ code }] })
})
