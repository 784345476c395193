import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { formatPolicies } from '#policy/compile/format-policies.ts'

const formatted = (text: string) => formatPolicies({ name: 'a.cedar', text })

test.each(globSync('policies/**/*.cedar'))('%s is in standard form', (name) => {
  const text = readFileSync(name, 'utf8')
  expect(formatPolicies({ name, text })).toEqual({ ok: true, value: text })
})

test('comments stay, line ends and layout become standard, and a second run changes nothing', () => {
  const once = formatted(
    '// why 😀\r\n@id("a")permit(principal,action,resource)\r\nwhen{context.a&&// inner\r\ncontext.b};// after\r\n\r\n// last\r\n',
  )
  expect(once).toEqual({
    ok: true,
    value:
      '// why 😀\n@id("a")\npermit (principal, action, resource)\nwhen\n{\n  context.a && // inner\n  context.b\n}; // after\n// last\n',
  })
  if (once.ok) expect(formatted(once.value)).toEqual(once)
})

test('a file without policies is left without them', () => {
  expect(formatted('')).toEqual({ ok: true, value: '' })
  expect(formatted('\n\n// later\n')).toEqual({ ok: true, value: '// later\n' })
})

test.each([
  ['permit(principal, action, resource) when { "😀" == foo };', 'policy.syntax', 52],
  ['permit(principal, action, resource)', 'policy.syntax', 36],
  [`permit(principal,action,resource) when {${'('.repeat(60)}1${')'.repeat(60)}};`, 'policy.too_deep', 100],
  ['// a\u0000', 'policy.control_character', 5],
])('%s is refused and points at the place', (text, code, column) => {
  const refused = formatted(text)
  expect(refused).toMatchObject({ ok: false, failure: [{ code, severity: 'error' }] })
  if (!refused.ok) expect(refused.failure[0]?.column).toBe(column)
})

test('the largest policy that the guard lets through can be formatted', () => {
  const text = `permit (principal, action, resource)\nwhen { ${Array(248).fill('true').join(' && ')} };\n`
  expect(formatted(text).ok).toBe(true)
})
