import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cedarTypeName, isActionType } from '#policy/ask/cedar-name.ts'

const CEDAR_TYPE = /^[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*$/

test.each([
  ['user', 'user'],
  ['Acme::Repo', 'Acme::Repo'],
  ['mcp-tool', 'escaped__mcp_2dtool'],
  ['http:route', 'escaped__http_3aroute'],
  ['in', 'escaped__in'],
  ['', 'escaped__'],
  ['storage object', 'escaped__storage_20object'],
  ['escaped__in', 'escaped__escaped_5f_5fin'],
  ['größe', 'escaped__gr_f6_dfe'],
])('the type `%s` of the wire is `%s` in Cedar', (wire, cedar) => {
  expect(cedarTypeName(wire)).toBe(cedar)
})

test('every name gives a type that Cedar can spell', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (name) => CEDAR_TYPE.test(cedarTypeName(name))))
})

test('two different names never give the same type', () => {
  const tricky = fc.oneof(fc.string(), fc.stringMatching(/^(escaped__)?[a_:u0-9-]{0,8}$/))
  fc.assert(
    fc.property(tricky, tricky, (a, b) => a === b || cedarTypeName(a) !== cedarTypeName(b)),
    { numRuns: 5000 },
  )
})

test.each([
  ['Action', true],
  ['Warder::Action', true],
  ['Reaction', false],
  ['user', false],
])('type `%s` names actions: %s', (type, isAction) => {
  expect(isActionType(type)).toBe(isAction)
})
