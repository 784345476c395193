import { expect, test } from 'vitest'
import { redactResult, withoutFields } from '#gateways/redact.ts'
import type { JsonObject } from '#model/value.ts'

const FIELDS = new Set(['ssn', 'a.b'])
const SECRET = '123-45-6789'
const json = (value: unknown): string => JSON.stringify(value)
const person = json({ name: 'A', ssn: SECRET })
const text = (value: string): JsonObject => ({ type: 'text', text: value })

test.each<[string, JsonObject]>([
  ['a member', { structuredContent: { people: [{ ssn: SECRET }] } }],
  ['JSON repeated', { content: [text(person)], structuredContent: { result: person } }],
  ['JSON alone', { structuredContent: { result: person } }],
  ['JSON in JSON', { content: [text(json({ body: json([json({ ssn: SECRET })]) }))] }],
  ['text repeated', { content: [text(`it is ${SECRET}`)], structuredContent: { result: `it is ${SECRET}` } }],
  ['an image repeated', { content: [{ type: 'image', data: SECRET }], structuredContent: { data: SECRET } }],
  ['text that names the field', { structuredContent: { result: `SSN: ${SECRET}` } }],
  ['text in JSON that names it', { content: [text(json({ note: `a.b=${SECRET}` }))] }],
  ['text behind an escape', { structuredContent: { result: `x\\nssn ${SECRET}` } }],
  ['JSON lines', { structuredContent: { result: `{"s\\u0073n":"${SECRET}"}\n{}` } }],
  ['JSON that is a string', { structuredContent: { result: json(json({ ssn: SECRET })) } }],
  ['another member of the result', { contents: [{ text: person }] }],
  [
    'JSON that is too deep',
    { structuredContent: { result: `${'['.repeat(9000)}"${SECRET}"${']'.repeat(9000)}` } },
  ],
])('a redacted field leaves in no string of a result: %s', (_where, result) => {
  expect(json(redactResult(result, FIELDS))).not.toContain(SECRET)
})

test('what is structured stays beside text that is JSON, without the fields', () => {
  const structuredContent = { name: 'A', ssn: SECRET, of: 'session 7', nested: json({ ssn: 1, b: 2 }) }
  expect(redactResult({ content: [text(person)], structuredContent }, FIELDS)).toEqual({
    content: [text('{"name":"A"}')],
    structuredContent: { name: 'A', of: 'session 7', nested: '{"b":2}' },
  })
})

test('a redacted argument leaves in no string that is JSON; other text of the call stays as it is', () => {
  const input = { query: 'select ssn from people', body: person, ssn: SECRET }
  expect(withoutFields(input, FIELDS)).toEqual({ query: 'select ssn from people', body: '{"name":"A"}' })
})

test.each(['a-b', 'x|y', '$', '{x}', 'a/b', 'a b', 'é', '#', ','])('%s is a name as any other', (name) => {
  const result = { structuredContent: { result: `the ${name} is ${SECRET}` } }
  expect(redactResult(result, new Set([name]))).toEqual({ structuredContent: { result: '[removed]' } })
})
