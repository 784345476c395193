import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileFolder } from '#policy/compile/compile.ts'
import { splitPolicies } from '#policy/compile/split-policies.ts'
import { tokens } from '#policy/compile/tokens.ts'
import { findings, folder, release } from './fixture.ts'

const policy = (condition: string) =>
  `@id("p") permit(principal is U, action, resource) when { ${condition} };`
const codes = (condition: string) => findings({ 'a.cedar': policy(condition) }).map(({ code }) => code)
const split = (text: string) => splitPolicies({ name: 'a.cedar', text })

const ADVERSARIAL = [
  ['parentheses', `${'('.repeat(5_000)}true${')'.repeat(5_000)}`],
  ['unclosed parentheses', '('.repeat(5_000)],
  ['sets', `${'['.repeat(2_000)}1${']'.repeat(2_000)} == 1`],
  ['records', `${'{a:'.repeat(500)}1${'}'.repeat(500)} == 1`],
  ['negations', `${'!'.repeat(3_000)}true`],
  ['minus signs', `${'-'.repeat(3_000)}1 == 1`],
  ['conjunctions', Array.from({ length: 1_000 }, () => 'true').join('&&')],
  ['sums', `${Array.from({ length: 1_000 }, () => '1').join('+')} == 1`],
  ['conditionals', `${'if true then true else '.repeat(300)}true`],
  ['attribute chains', `context${'.a'.repeat(2_000)}`],
  ['index chains', `context${'["a"]'.repeat(1_000)}`],
  ['attribute chains in parentheses', `${'('.repeat(30)}context${`${'.a'.repeat(20)})`.repeat(30)}`],
  ['method chains', `context${'.contains(1)'.repeat(300)}`],
  ['presence chains', `context has a${'.a'.repeat(2_000)}`],
  ['comparisons', `${'1 in '.repeat(600)}1`],
] as const

const AT_THE_LIMITS = [
  ['brackets', `${'('.repeat(38)}true${')'.repeat(38)}`],
  ['operators', `${'context.a.b.c.d == 1 && '.repeat(120)}true`],
  ['conjunctions over deep paths', `context${'.a'.repeat(4)}${' && true'.repeat(249)}`],
  ['attributes', `context${'.a'.repeat(240)}`],
  ['negations', `${'!'.repeat(4)}context.a`],
] as const

describe('what could exhaust the engine is refused before it is parsed', () => {
  test.each(ADVERSARIAL)('%s', (_, condition) => {
    expect(codes(condition).some((code) => code === 'policy.too_deep' || code === 'policy.too_complex')).toBe(
      true,
    )
  })

  test.each(AT_THE_LIMITS)('what stays below the limits is parsed and evaluated: %s', (_, condition) => {
    const request = { principal: 'U::"u"', action: 'Action::"a"', resource: 'R::"r"', context: {} }
    const tests = JSON.stringify([{ name: 'it', request, entities: [], decision: 'allow', reason: ['p'] }])
    const found = findings({ 'a.cedar': policy(condition), 'tests/t.json': tests }).map(({ code }) => code)
    expect(found.filter((code) => code !== 'schema.missing' && code !== 'test.failed')).toEqual([])
  })

  test('no text makes the compiler throw or the engine die', () => {
    const part = fc.constantFrom(
      ...[
        'permit',
        'forbid',
        '(',
        ')',
        '[',
        ']',
        '{',
        '}',
        ';',
        '"',
        '//',
        '\n',
        '\r\n',
        '@id("a")',
        'principal',
      ],
      ...[
        'action',
        'resource',
        'context',
        '.',
        ',',
        '==',
        'in',
        'is',
        'has',
        'when',
        'unless',
        '&&',
        '!',
        '-',
        '1',
      ],
      ...['if', 'then', 'else', '?principal', '::', 'U', '"a"', ' ', 'é', '😀', '\\', 'unknown', 'Warder::'],
      'permit(principal,action,resource)',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const outcome = compileFolder(folder({ 'a.cedar': parts.join('') }))
        const found = outcome.ok ? outcome.warnings : outcome.diagnostics
        expect(found.some(({ code }) => code === 'policy.engine_failure')).toBe(false)
      }),
      { numRuns: 150 },
    )
    expect(compileFolder(folder({ 'a.cedar': policy('true') }))).toMatchObject({ ok: true })
  })
})

describe('a file is split as the engine would', () => {
  test('a policy keeps the comment above it, its line and its own text', () => {
    const text =
      '// licence\n\n// first\n// line\n@id("a") permit(principal, action, resource); // behind\n// second\n\nforbid(principal, action, resource);'
    const texts = split(text).policies.map((found) => found.text)
    expect(texts).toEqual([
      '// first\n// line\n@id("a") permit(principal, action, resource);',
      'forbid(principal, action, resource);',
    ])
    expect(
      release({ 'a.cedar': text.replace('forbid', '@id("b") forbid') }).policies.map(({ line }) => line),
    ).toEqual([5, 8])
  })

  test('semicolons, quotes and slashes inside strings and comments do not split', () => {
    const text = '// a; "b\npermit(principal, action, resource) when { "; // \\" ;" == "x" }; // ; permit'
    expect(split(text).policies.map((found) => found.text)).toEqual([text.slice(0, -' // ; permit'.length)])
    expect(split(text).diagnostics).toEqual([])
  })

  test('a carriage return can not hide a policy from its reader', () => {
    const [found] = findings({ 'a.cedar': '// harmless\rpermit(principal, action, resource);' })
    expect(found).toMatchObject({ code: 'policy.control_character', line: 1, column: 12 })
  })

  test('a policy without its end is an error, not forgotten', () => {
    expect(split('permit(principal, action, resource)').diagnostics).toMatchObject([
      { code: 'policy.syntax', message: 'the policy has no end' },
    ])
    const found = findings({ 'a.cedar': '@id("a") permit(principal, action, resource) when { "a };' })
    expect(found).toContainEqual(
      expect.objectContaining({ code: 'policy.syntax', message: 'invalid token', line: 1, column: 53 }),
    )
  })

  test('the tokens cover the text, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        let end = 0
        for (const token of tokens(text)) {
          expect(text.slice(end, token.start).trim()).toBe('')
          expect(token.text).toBe(text.slice(token.start, token.end))
          end = token.end
        }
        expect(text.slice(end).trim()).toBe('')
      }),
    )
  })
})
