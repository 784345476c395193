import { expect, test } from 'vitest'
import { authenticateGateway, splitTarget } from '#http/gateway-key.ts'
import { findGateway, GATEWAY, GATEWAY_KEY } from '../support/fake-decider.ts'

test.each([
  ['/v1/decide', undefined, '/v1/decide'],
  ['/g/KEY/v1/decide?x=1', 'KEY', '/v1/decide?x=1'],
  ['/g/KEY/../x', 'KEY', '/../x'],
  ['/g/KEY', 'KEY', '/'],
  ['/g//x', '', '/x'],
  ['/G/KEY/x', undefined, '/G/KEY/x'],
])('%s splits into key %s and target %s', (target, key, rawUrl) => {
  expect(splitTarget(target)).toEqual({ key, rawUrl })
})

const bearer = (value: string): readonly string[] => ['Authorization', value]
const own = (value: string): readonly string[] => ['X-Warder-Gateway-Key', value]

test.each([
  ['the key as a bearer token', undefined, bearer(`Bearer ${GATEWAY_KEY}`), 'bearer', true],
  ['the scheme in lower case', undefined, bearer(`bearer ${GATEWAY_KEY}`), 'bearer', true],
  ['the key in the path', GATEWAY_KEY, [], 'bearer', true],
  ['the key in its header', undefined, own(GATEWAY_KEY), 'header', true],
  ['the same key in path and header', GATEWAY_KEY, own(GATEWAY_KEY), 'header', true],
  [
    'an agent token beside the key in the path of a header dialect',
    GATEWAY_KEY,
    bearer('Bearer agent'),
    'header',
    true,
  ],
  ['no key', undefined, [], 'bearer', false],
  ['the key without a scheme', undefined, bearer(GATEWAY_KEY), 'bearer', false],
  ['the key with another scheme', undefined, bearer(`Basic ${GATEWAY_KEY}`), 'bearer', false],
  ['another key', undefined, bearer(`Bearer ${GATEWAY_KEY}x`), 'bearer', false],
  ['the key header where a bearer token is needed', undefined, own(GATEWAY_KEY), 'bearer', false],
  [
    'a bearer token where the key header is needed',
    undefined,
    bearer(`Bearer ${GATEWAY_KEY}`),
    'header',
    false,
  ],
  ['the key twice', undefined, [...own(GATEWAY_KEY), ...own(GATEWAY_KEY)], 'header', false],
  ['two keys', GATEWAY_KEY, own('another-key-0123456789'), 'header', false],
  ['an empty header beside the path', GATEWAY_KEY, own(''), 'header', false],
  ['a short key', 'short', [], 'header', false],
] as const)('%s', (_name, pathKey, headers, source, isKnown) => {
  expect(authenticateGateway(pathKey, headers, source, findGateway)).toBe(isKnown ? GATEWAY : undefined)
})

test("a client certificate proves the gateway that it is registered for, alone or beside that gateway's key", () => {
  const certificate = 'ab'.repeat(32)
  const other = { ...GATEWAY, id: 'another' as typeof GATEWAY.id }
  const withOf = (gateway: typeof GATEWAY) => (keyHash: string) =>
    keyHash === `x509-sha256:${certificate}` ? gateway : findGateway(keyHash)
  const ask = (of: typeof GATEWAY, pathKey: string | undefined, headers: readonly string[] = []) =>
    authenticateGateway(pathKey, headers, 'bearer', withOf(of), certificate)
  expect(ask(GATEWAY, undefined)).toBe(GATEWAY)
  expect(ask(GATEWAY, GATEWAY_KEY)).toBe(GATEWAY)
  expect(ask(other, undefined)).toBe(other)
  // The key of one gateway on the connection of another proves neither.
  expect(ask(other, GATEWAY_KEY)).toBeUndefined()
  expect(ask(GATEWAY, 'a-wrong-key-0123456789')).toBeUndefined()
  expect(ask(GATEWAY, undefined, bearer('Bearer a-wrong-key-0123456789'))).toBeUndefined()
  // One that no gateway is registered with proves nothing and takes nothing away.
  expect(authenticateGateway(GATEWAY_KEY, [], 'bearer', findGateway, certificate)).toBe(GATEWAY)
  expect(authenticateGateway(undefined, [], 'bearer', findGateway, certificate)).toBeUndefined()
})

test('a certificate, which is public, can not be presented as a key', () => {
  const stored = `x509-sha256:${'ab'.repeat(32)}`
  const find = (keyHash: string) => (keyHash === stored ? GATEWAY : undefined)
  for (const key of [stored, 'ab'.repeat(32)]) {
    expect(authenticateGateway(key, [], 'bearer', find)).toBeUndefined()
    expect(authenticateGateway(undefined, bearer(`Bearer ${key}`), 'bearer', find)).toBeUndefined()
  }
})
