import { describe, expect, test } from 'vitest'
import { DIAGNOSTIC_CODES, type DiagnosticCode } from '#policy/compile/diagnostic.ts'
import { LIMITS } from '#policy/compile/limits.ts'
import { LINT_RULES } from '#policy/compile/lint-rules.ts'
import { findings } from './fixture.ts'

type Files = Readonly<Record<string, string>>

interface Case {
  readonly code: DiagnosticCode
  readonly files: Files
  readonly guardrails?: Files
  readonly line: number
  readonly column: number
  readonly message: string
  readonly severity?: 'warning'
}

const OWN =
  'entity U; entity R; action read appliesTo { principal: U, resource: R, context: { n?: Long } };\n'
const scoped = (rest: string) => `@id("p") permit(principal is Warder::Agent, action, resource)${rest};`
const own = (rest: string) => `@id("p") permit(principal is U, action, resource)${rest};`
const guard = (text: string): Files => ({ 'g.cedar': text })
const added = (text: string): Files => ({ 't.cedarschema': `namespace Warder {\n${text}\n}` })

const CASES: readonly Case[] = [
  {
    code: 'policy.file_name',
    files: { 'notes.txt': 'x' },
    line: 1,
    column: 1,
    message: 'the file has no place in a policy folder',
  },
  {
    code: 'policy.encoding',
    files: { 'a.cedar': '// ok\n// \ufffd' },
    line: 2,
    column: 4,
    message: 'the file is not valid UTF-8 text',
  },
  {
    code: 'schema.encoding',
    files: { 's.cedarschema': '// \ud800' },
    line: 1,
    column: 4,
    message: 'the file is not valid UTF-8 text',
  },
  {
    code: 'test.encoding',
    files: { 'tests/t.json': '["\ufffd"]' },
    line: 1,
    column: 3,
    message: 'the file is not valid UTF-8 text',
  },
  {
    code: 'policy.control_character',
    files: { 'a.cedar': '// a\u0000' },
    line: 1,
    column: 5,
    message: 'the character U+0000 is invisible or changes the direction of text',
  },
  {
    code: 'schema.control_character',
    files: { 's.cedarschema': '\ufeffentity A;' },
    line: 1,
    column: 1,
    message: 'the character U+FEFF is invisible or changes the direction of text',
  },
  {
    code: 'test.control_character',
    files: { 'tests/t.json': '[\n"\u202e"]' },
    line: 2,
    column: 2,
    message: 'the character U+202E is invisible or changes the direction of text',
  },
  {
    code: 'policy.total_too_large',
    files: Object.fromEntries(Array.from({ length: LIMITS.files + 1 }, (_, i) => [`${i}.cedar`, ''])),
    line: 1,
    column: 1,
    message: `the folder has ${LIMITS.files + 1} files with 0 characters; the limits are ${LIMITS.files} and ${LIMITS.totalCharacters}`,
  },
  {
    code: 'policy.too_many',
    files: { 'a.cedar': 'permit(principal,action,resource);'.repeat(LIMITS.policies + 1) },
    line: 1,
    column: 1,
    message: `the release has ${LIMITS.policies + 1} policies; the limit is ${LIMITS.policies}`,
  },
  {
    code: 'policy.too_large',
    files: { 'a.cedar': `\n${own(` when { "${'x'.repeat(LIMITS.policyBytes)}" == "" }`)}` },
    line: 2,
    column: 1,
    message: `the policy has ${LIMITS.policyBytes + 68} bytes; the limit is ${LIMITS.policyBytes}`,
  },
  {
    code: 'policy.too_deep',
    files: {
      'a.cedar': `\npermit(principal,action,resource) when {${'('.repeat(40)}true${')'.repeat(40)}};`,
    },
    line: 2,
    column: 80,
    message: 'brackets are nested 41 deep; the limit is 40',
  },
  {
    code: 'policy.too_complex',
    files: { 'a.cedar': ` permit(principal,action,resource) when { true${' && true'.repeat(251)} };` },
    line: 1,
    column: 2,
    message: 'the policy has 251 operators; the limit is 250',
  },
  {
    code: 'policy.syntax',
    files: { 'a.cedar': '// 😀é\npermit(principal, action, resource) when { "😀" == foo };' },
    line: 2,
    column: 52,
    message: 'invalid variable: foo',
  },
  {
    code: 'policy.template',
    files: { 'a.cedar': '@id("p") permit(principal == ?principal, action, resource);' },
    line: 1,
    column: 30,
    message: 'expected a static policy, got a template containing the slot ?principal',
  },
  {
    code: 'policy.unknown_call',
    files: { 'a.cedar': `\n${own(' when { unknown("x") }')}` },
    line: 2,
    column: 1,
    message: '`unknown()` is not allowed: a policy that calls it never takes effect',
  },
  {
    code: 'policy.id_missing',
    files: { 'a.cedar': '// why\n  permit(principal is U, action, resource);' },
    line: 2,
    column: 3,
    message: 'the policy has no `@id`',
  },
  {
    code: 'policy.id_invalid',
    files: { 'a.cedar': '@reason("x")\n@id("a b")permit(principal is U, action, resource);' },
    line: 2,
    column: 1,
    message:
      'the `@id` must be 1 to 128 of the characters `A-Z a-z 0-9 . _ : / -` and begin with a letter or digit',
  },
  {
    code: 'policy.id_reserved',
    files: { 'a.cedar': '@id("warder.mine") permit(principal is U, action, resource);' },
    line: 1,
    column: 1,
    message: 'ids that begin with `warder.` belong to shipped guardrails',
  },
  {
    code: 'policy.id_duplicate',
    files: { 'a.cedar': own(''), 'b.cedar': `\n  ${own('')}` },
    line: 2,
    column: 3,
    message: 'the `@id` `p` is used twice',
  },
  {
    code: 'policy.annotation_unknown',
    files: { 'a.cedar': '@id("p") @colour("red") permit(principal is U, action, resource);' },
    line: 1,
    column: 10,
    message: 'the annotation `@colour` has no effect',
    severity: 'warning',
  },
  {
    code: 'policy.annotation_invalid',
    files: { 'a.cedar': '@id("p") @reason permit(principal is U, action, resource);' },
    line: 1,
    column: 10,
    message: '`@reason` must be a text of 1 to 500 characters without line breaks',
  },
  {
    code: 'policy.obligation_invalid',
    files: { 'a.cedar': '@id("p")\n@obligation("explode") permit(principal is U, action, resource);' },
    line: 2,
    column: 1,
    message:
      'unknown obligation type `explode`; known are step_up, human_approval, redact, rate_limit, token_exchange, strip_authorization, set_header, audit, notify, max_age',
  },
  {
    code: 'policy.validation',
    files: { 'a.cedar': `// é\n${scoped('\nwhen { "é" == principal.statu }')}` },
    line: 3,
    column: 15,
    message: 'attribute `statu` on entity type `Warder::Agent` not found',
  },
  {
    code: 'policy.no_applicable_action',
    files: { 'a.cedar': '// why\n@id("p") permit(principal is Warder::Server, action, resource);' },
    line: 2,
    column: 1,
    message: 'unable to find an applicable action given the policy scope constraints',
  },
  {
    code: 'policy.impossible',
    files: { 'a.cedar': scoped(' when { 1 == 2 }') },
    line: 1,
    column: 1,
    message: 'policy is impossible: the policy expression evaluates to false for all valid requests',
  },
  {
    code: 'policy.confusable',
    files: { 'a.cedar': scoped(' when { principal.status == "say һello" }') },
    line: 1,
    column: 90,
    message: 'string `"say һello"` contains mixed scripts',
    severity: 'warning',
  },
  {
    code: 'policy.confusable',
    files: { 'a.cedar': scoped(' when { principal.status == "x\\u{202e}" }') },
    line: 1,
    column: 90,
    message: 'string `"x\u202e"` contains BIDI control characters',
  },
  {
    code: 'policy.confusable',
    files: { 'a.cedar': '@id("p") permit(principal == Warder::Agent::"аdmin", action, resource);' },
    line: 1,
    column: 1,
    message: 'identifier `аdmin` contains mixed scripts',
  },
  {
    code: 'policy.unscoped',
    files: { 'a.cedar': '@id("p") permit(principal, action, resource);' },
    line: 1,
    column: 1,
    message: 'the policy has no scope, so it is evaluated for every request',
    severity: 'warning',
  },
  {
    code: 'policy.none',
    files: { 'a.cedar': '// later' },
    line: 1,
    column: 1,
    message: 'the release has no policy: every request will be denied',
    severity: 'warning',
  },
  {
    code: 'policy.guardrail_effect',
    files: { 'a.cedar': scoped('') },
    guardrails: guard('@id("warder.g") permit(principal is Warder::Agent, action, resource);'),
    line: 1,
    column: 1,
    message: 'a guardrail can only forbid',
  },
  {
    code: 'policy.guardrail_id',
    files: { 'a.cedar': scoped('') },
    guardrails: guard('@id("g") forbid(principal is Warder::Agent, action, resource);'),
    line: 1,
    column: 1,
    message: 'the `@id` of a guardrail must begin with `warder.`',
  },
  {
    code: 'policy.guardrail_may_error',
    files: { 'a.cedar': scoped('') },
    guardrails: guard(
      '@id("warder.g") forbid(principal, action, resource) when { context.risk.score + 1 > 9 };',
    ),
    line: 1,
    column: 1,
    message: 'arithmetic can overflow',
  },
  {
    code: 'schema.too_large',
    files: { 's.cedarschema': `// ${'x'.repeat(LIMITS.schemaBytes)}` },
    line: 1,
    column: 1,
    message: `the schema has ${LIMITS.schemaBytes + 3} bytes; the limit is ${LIMITS.schemaBytes}`,
  },
  {
    code: 'schema.too_deep',
    files: { 's.cedarschema': `entity A { a: ${'Set<'.repeat(40)}Long${'>'.repeat(40)} };` },
    line: 1,
    column: 174,
    message: 'brackets are nested deeper than 40',
  },
  {
    code: 'schema.syntax',
    files: { 's.cedarschema': '// é😀\nentity A { é: Long };' },
    line: 2,
    column: 12,
    message: 'invalid token',
  },
  {
    code: 'schema.invalid',
    files: {
      'a.cedar': scoped(''),
      't.cedarschema':
        '// é\nnamespace Warder {\n action "x/y" appliesTo { principal: Agent, resource: Toool };\n}\n',
    },
    line: 3,
    column: 55,
    message: 'failed to resolve type: Toool',
  },
  {
    code: 'schema.warder_namespace',
    files: added('  @doc("x") entity Mine;'),
    line: 2,
    column: 13,
    message: 'only actions can be added to the namespace `Warder`',
  },
  {
    code: 'schema.context_redeclared',
    files: added(
      'action "a/b" appliesTo { principal: Agent, resource: Tool, context: { x: Long, "risk"?: Long } };',
    ),
    line: 2,
    column: 80,
    message: 'every call already has the context attribute `risk`',
  },
  {
    code: 'schema.context_type',
    files: added('action "a/b" appliesTo { principal: Agent, resource: Tool, context: Acme::Context };'),
    line: 2,
    column: 69,
    message: 'the context of an added action must be written as a record',
  },
  {
    code: 'schema.action_group',
    files: {
      't.cedarschema':
        'namespace Acme { action all; }\nnamespace Warder {\n  action mine in [Acme::Action::"all"];\n}',
    },
    line: 3,
    column: 10,
    message: 'the action `mine` is not in the group `callTool`',
  },
  {
    code: 'schema.missing',
    files: { 'a.cedar': own('') },
    line: 1,
    column: 1,
    message: 'the folder has no schema, so its policies were not validated',
    severity: 'warning',
  },
  {
    code: 'test.syntax',
    files: { 'tests/t.json': '[\n{"name": }]' },
    line: 2,
    column: 10,
    message: 'the file is not valid JSON',
  },
  {
    code: 'test.invalid',
    files: { 'tests/t.json': '[\n  {"name":"a","request":{},"decision":"allow"}]' },
    line: 2,
    column: 3,
    message:
      '`request.principal`: Invalid input: expected string, received undefined; `request.action`: Invalid input: expected string, received undefined; `request.resource`: Invalid input: expected string, received undefined',
  },
  {
    code: 'test.failed',
    files: {
      'a.cedar': own(''),
      's.cedarschema': OWN,
      'tests/t.json': `[\n ${JSON.stringify({
        name: 'é',
        request: { principal: 'U::"u"', action: 'Action::"read"', resource: 'R::"r"', context: {} },
        entities: [],
        decision: 'deny',
      })}]`,
    },
    line: 2,
    column: 2,
    message: 'the test `é` expects deny, but the answer is allow',
  },
]

/** Rules of the linter, and codes that only a worker or a dead engine can give; their tests stand elsewhere. */
const ELSEWHERE: readonly string[] = [
  ...Object.keys(LINT_RULES),
  'policy.engine_failure',
  'policy.compile_timeout',
  'policy.compile_crashed',
]

describe('every finding points at the author’s text', () => {
  test.each(CASES)('$code', ({ code, files, guardrails, line, column, message, severity }) => {
    const found = findings(files, guardrails).find((finding) => finding.code === code)
    expect(found).toMatchObject({ code, message, line, column, severity: severity ?? 'error' })
    const file = { ...files, ...guardrails }[found?.file ?? '']
    if (code !== 'policy.file_name' && code !== 'policy.total_too_large')
      expect(file?.toWellFormed().split('\n')[line - 1]).toContain(found?.source)
  })

  test('every code of the list has a case', () => {
    const covered = new Set<string>([...CASES.map(({ code }) => code), ...ELSEWHERE])
    expect(Object.keys(DIAGNOSTIC_CODES).filter((code) => !covered.has(code))).toEqual([])
  })
})

test('all findings of a folder come at once, sorted by file and position', () => {
  const found = findings({
    'a.cedar':
      'permit(principal, actio, resource);\n@id("a") permit(principal is Warder::Agnt, action, resource);\npermit(principal, action, resource) when { foo };',
    'b.cedar':
      '@id("b") @obligation("x") permit(principal is Warder::Agent, action, resource) when { principal.x };',
    't.cedarschema': 'namespace Warder { action "x/y"; }',
  })
  expect(found.map(({ file, line, code }) => `${file}:${line} ${code}`)).toEqual([
    'a.cedar:1 policy.syntax',
    'a.cedar:2 policy.validation',
    'a.cedar:3 policy.syntax',
    'b.cedar:1 policy.obligation_invalid',
    'b.cedar:1 policy.validation',
  ])
  expect(found[1]?.help).toBe('did you mean `Warder::Agent`?')
})

test('a very long line is shortened in the finding', () => {
  const [found] = findings({
    'a.cedar': `permit(principal, action, resource) when { "${'x'.repeat(900)}" == foo };`,
  })
  expect(found?.source).toHaveLength(300)
})
