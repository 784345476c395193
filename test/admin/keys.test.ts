import { expect, test } from 'vitest'
import { hashKey, keyHint, newAdminToken, newApiKey, newGatewayKey } from '#admin/keys.ts'
import { withoutSecrets } from '#decision-log/secrets.ts'

test('a key holds 256 random bits, and what is stored of it does not reveal it', () => {
  const made = newGatewayKey()
  expect(made.key).toMatch(/^wgk_[A-Za-z0-9_-]{43}$/)
  expect(made.hash).toBe(hashKey(made.key))
  expect(made.hash).toMatch(/^[0-9a-f]{64}$/)
  expect(made.hint).toBe(keyHint(made.key))
  expect(made.hint).toHaveLength(10)
  expect(newAdminToken().key).toMatch(/^wat_[A-Za-z0-9_-]{43}$/)
  expect(new Set(Array.from({ length: 100 }, () => newGatewayKey().key)).size).toBe(100)
})

test('the hash is the SHA-256 of the whole key', () => {
  expect(hashKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test.each([
  ['of a gateway', newGatewayKey],
  ['of an administrator', newAdminToken],
  ['of an agent', newApiKey],
])('a key %s is masked wherever it stands in a row', (_, make) => {
  expect(withoutSecrets(`use ${make().key} here`)).toBe('use [masked] here')
})
