import { describe, expect, test } from 'vitest'
import { OBLIGATIONS, parseObligation, parseObligationAnnotation } from '#policy/obligation-catalogue.ts'

const VALID: readonly Readonly<Record<string, unknown>>[] = [
  { type: 'step_up', acr_value: 'urn:mfa', amr_values: ['otp'] },
  { type: 'human_approval' },
  { type: 'human_approval', approvers: ['a@example.com'], timeout_seconds: 60 },
  { type: 'redact', fields: ['card.number'], in: 'result' },
  { type: 'rate_limit', limit: 5, window_seconds: 60, key: 'user' },
  {
    type: 'token_exchange',
    audience: 'https://api.example',
    scope: 'read',
    resource: 'https://api.example/x',
  },
  { type: 'strip_authorization' },
  { type: 'set_header', name: 'X-Tenant', value: 'é ok' },
  { type: 'audit', level: 'critical' },
  { type: 'notify', to: ['soc'], body: 'paid', topic: 'money' },
  { type: 'max_age', seconds: 0 },
]

const INVALID: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
  [{ type: 'step_up' }, 'acr_value'],
  [{ type: 'human_approval', timeout_seconds: 0 }, 'timeout_seconds'],
  [{ type: 'redact', fields: [], in: 'result' }, 'fields'],
  [{ type: 'redact', fields: ['a'], in: 'body' }, 'in'],
  [{ type: 'rate_limit', limit: 1.5, window_seconds: 1 }, 'limit'],
  [{ type: 'token_exchange', audience: '' }, 'audience'],
  [{ type: 'strip_authorization', x: 1 }, 'x'],
  [{ type: 'audit', level: 'loud' }, 'level'],
  [{ type: 'notify', to: ['a'], body: 'a\nb' }, 'body'],
  [{ type: 'max_age', seconds: -1 }, 'seconds'],
  [{ type: 'set_header', name: 'X-A', value: 'a\r\nX-B: c' }, 'value'],
  [{ type: 'set_header', name: 'X A', value: '' }, 'name'],
]

test.each(VALID)('$type with the right properties is accepted', (obligation) => {
  const { type, ...properties } = obligation
  expect(parseObligation(obligation)).toEqual({ ok: true, value: { type, properties } })
})

test.each(INVALID)('%j is refused and the message names the property', (obligation, property) => {
  const parsed = parseObligation(obligation)
  expect(parsed).toMatchObject({ ok: false, failure: expect.stringContaining(property) })
  expect(parsed).toMatchObject({ failure: expect.stringMatching(/^obligation `\w+` is not valid: /) })
})

test('a misspelt property is reported in the words of the catalogue, with the one that was meant', () => {
  expect(parseObligation({ type: 'redact', fieldz: ['email'], in: 'result' })).toEqual({
    ok: false,
    failure:
      'obligation `redact` is not valid: `fields`: is required; `fieldz` is not one of its properties; did you mean `fields`?',
  })
  expect(parseObligation({ type: 'redact', fields: 'email', in: 'result' })).toMatchObject({
    failure: 'obligation `redact` is not valid: `fields`: expected array, received string',
  })
})

test.each([
  ...[
    'Authorization',
    'authorization',
    'Proxy-Authorization',
    'Host',
    'Cookie',
    'Set-Cookie',
    'Content-Length',
  ],
  ...[
    'Connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'X-Forwarded-For',
    ':path',
  ],
])('the header %s can not be set by a policy', (name) => {
  expect(parseObligation({ type: 'set_header', name, value: 'x' }).ok).toBe(false)
})

describe('the annotation', () => {
  test('may be the bare name of a type that needs no properties', () => {
    expect(parseObligationAnnotation('strip_authorization')).toEqual({
      ok: true,
      value: [{ type: 'strip_authorization', properties: {} }],
    })
    expect(parseObligationAnnotation('step_up')).toMatchObject({ ok: false })
  })

  test.each(['', '[]', '1', 'null', '"x"', '{', '[[]]', '{"type":"__proto__"}', '{"type":"constructor"}'])(
    'with %j is refused',
    (value) => {
      expect(parseObligationAnnotation(value).ok).toBe(false)
    },
  )

  test('tells all problems at once', () => {
    expect(parseObligationAnnotation('[{"type":"a"},{"type":"max_age","seconds":"x"}]')).toMatchObject({
      failure: expect.stringMatching(/unknown obligation type `a`.*`seconds`/),
    })
  })
})

test('every type has a description of one line', () => {
  for (const { description } of Object.values(OBLIGATIONS)) expect(description).toMatch(/^.{10,120}$/)
})
