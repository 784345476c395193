import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createSealing, openSealing } from '#admin/sealing.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { issuer } from '../support/tokens.ts'

const ACME = 'acme' as TenantId
const GLOBEX = 'globex' as TenantId
const key = (fill: number) => new Uint8Array(32).fill(fill)
const folder = mkdtempSync(join(tmpdir(), 'warder-sealing-'))
afterAll(() => rmSync(folder, { recursive: true }))

const SECRET = 'hunter2-hunter2'
const asked: Issuer = issuer([], {
  introspection: {
    url: 'https://idp.example/introspect',
    clientId: 'rs',
    authentication: 'client_secret_basic',
    secret: SECRET,
    cacheSecondsMax: 30,
    signed: false,
  },
})

test('a sealed secret is not readable and opens again; the same one is sealed differently each time', () => {
  const sealing = createSealing([key(1)])
  const [one, two] = [sealing.sealIssuer(ACME, asked), sealing.sealIssuer(ACME, asked)]
  expect(JSON.stringify(one)).not.toContain(SECRET)
  expect(one.introspection?.secret).not.toBe(two.introspection?.secret)
  expect(sealing.openSecret(ACME, one)).toBe(SECRET)
})

test('a sealed secret opens only where it was put', () => {
  const sealing = createSealing([key(1)])
  const stored = sealing.sealIssuer(ACME, asked)
  const { introspection } = stored
  expect(sealing.openSecret(GLOBEX, stored)).toBeUndefined()
  expect(sealing.openSecret(ACME, { ...stored, issuer: 'https://other.example' })).toBeUndefined()
  const moved = introspection && { ...introspection, url: 'https://evil.example/' }
  expect(sealing.openSecret(ACME, { ...stored, ...(moved && { introspection: moved }) })).toBeUndefined()
  const text = introspection?.secret ?? ''
  for (const broken of ['', 'x', text.slice(0, -2), `${text}.x`, text.replace('v1', 'v2')]) {
    const changed = introspection && { ...introspection, secret: broken }
    expect(
      sealing.openSecret(ACME, { ...stored, ...(changed && { introspection: changed }) }),
    ).toBeUndefined()
  }
})

test('the secret of token exchanges opens only for the endpoints that it was sealed for', () => {
  const sealing = createSealing([key(1)])
  const exchange = {
    url: 'https://idp.example/token',
    revocationUrl: 'https://idp.example/revoke',
    clientId: 'rs',
    authentication: 'client_secret_basic',
    secret: SECRET,
    actorToken: false,
  } as const
  const stored = sealing.sealIssuer(ACME, issuer([], { ...asked, tokenExchange: exchange }))
  expect(JSON.stringify(stored)).not.toContain(SECRET)
  expect(sealing.openExchangeSecret(ACME, stored)).toBe(SECRET)
  expect(sealing.openSecret(ACME, stored)).toBe(SECRET)
  expect(sealing.openExchangeSecret(GLOBEX, stored)).toBeUndefined()
  const secret = stored.tokenExchange?.secret ?? ''
  for (const moved of [{ url: 'https://evil.example/' }, { revocationUrl: 'https://evil.example/' }]) {
    const changed = { ...stored, tokenExchange: { ...exchange, secret, ...moved } }
    expect(sealing.openExchangeSecret(ACME, changed)).toBeUndefined()
  }
})

test('a sealed token opens only for its tenant and issuer', () => {
  const sealing = createSealing([key(1)])
  const sealed = sealing.sealToken(ACME, 'https://idp.example', SECRET)
  expect(sealed).not.toContain(SECRET)
  expect(sealing.openToken(ACME, 'https://idp.example', sealed)).toBe(SECRET)
  expect(sealing.openToken(GLOBEX, 'https://idp.example', sealed)).toBeUndefined()
  expect(sealing.openToken(ACME, 'https://other.example', sealed)).toBeUndefined()
  expect(createSealing([key(2)]).openToken(ACME, 'https://idp.example', sealed)).toBeUndefined()
})

test('keys are rotated: the first seals, all open, a removed one opens nothing', () => {
  const old = createSealing([key(1)]).sealIssuer(ACME, asked)
  const both = createSealing([key(2), key(1)])
  expect(both.openSecret(ACME, old)).toBe(SECRET)
  const renewed = both.sealIssuer(ACME, asked)
  expect(createSealing([key(2)]).openSecret(ACME, renewed)).toBe(SECRET)
  expect(createSealing([key(2)]).openSecret(ACME, old)).toBeUndefined()
})

test('the key file is made once, for the operator alone, and a broken one is refused', async () => {
  const stored = (await openSealing(folder, undefined)).sealIssuer(ACME, asked)
  const path = join(folder, 'sealing.key')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect((await openSealing(folder, path)).openSecret(ACME, stored)).toBe(SECRET)
  expect(readFileSync(path, 'utf8')).toMatch(/^[A-Za-z0-9+/]{43}=\n$/)
  const broken = join(folder, 'broken.key')
  writeFileSync(broken, 'short')
  await expect(openSealing(folder, broken)).rejects.toThrow('must hold keys of 32 bytes')
})
