import 'reflect-metadata'
import { hash, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { workloadOfSvid } from '#identity/workload/x509-svid.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { issuer, tenantWith } from '../../support/tokens.ts'

x509.cryptoProvider.set(webcrypto)
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const MINUTE = 60_000
const DAY = 1_440 * MINUTE
const DOMAIN = 'spiffe://acme.example'
const ID = `${DOMAIN}/agents/triage`
const DENIED = 'workload.untrusted'
/** Certificates are made on the real clock. */
const START = Date.now()
const { keyCertSign, digitalSignature } = x509.KeyUsageFlags

interface Made {
  readonly certificate: X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

async function make(serialNumber: string, by?: Made, uri = ID): Promise<Made> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.create({
    serialNumber,
    subject: `CN=${serialNumber}`,
    issuer: by?.certificate.subject ?? `CN=${serialNumber}`,
    notBefore: new Date(START - DAY),
    notAfter: new Date(START + 9 * DAY),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(by === undefined, undefined, true),
      new x509.KeyUsagesExtension(by === undefined ? keyCertSign : digitalSignature, true),
      ...(by === undefined ? [] : [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }])]),
    ],
  })
  return { certificate: new X509Certificate(Buffer.from(made.rawData)), keys }
}

let one: Made
let two: Made
let byOne: Made
let byTwo: Made
beforeAll(async () => {
  one = await make('01')
  two = await make('02')
  byOne = await make('03', one)
  byTwo = await make('04', two)
})

let now = START
let fetches = 0
let bundle: unknown
let keys: KeySets
beforeEach(() => {
  now = START
  fetches = 0
  bundle = undefined
  keys = createKeySets({
    fetch: async () => {
      fetches += 1
      if (bundle === undefined) throw new Error('unreachable')
      return bundle
    },
    clock: () => now as EpochMilliseconds,
    onFault: () => undefined,
  })
})

const entry = ({ certificate }: Made, more: object = {}) => ({
  ...certificate.publicKey.export({ format: 'jwk' }),
  use: 'x509-svid',
  x5c: [certificate.raw.toString('base64')],
  ...more,
})
const publish = (authorities: readonly Made[], facts: object = {}) => {
  bundle = { keys: authorities.map((each) => entry(each)), ...facts }
}
const trustDomain = (name = DOMAIN, url = 'https://spire.example/bundle') =>
  issuer([], { issuer: name, profile: 'spiffe', keys: { kind: 'remote', url } })

/** What a client proves with a certificate. */
async function ask({ certificate: leaf }: Made, id = 'acme', issuers = [trustDomain()]) {
  const thumbprint = hash('sha256', leaf.raw, 'base64url')
  const tenant = tenantWith(issuers, { id: id as TenantId })
  const asked = { tenant, keys, now: now as EpochMilliseconds }
  const found = await workloadOfSvid({ thumbprint, leaf, chain: [] }, asked)
  return found.ok ? found.value : found.failure.code
}

test('an X.509-SVID is verified with the authorities of a bundle that was fetched', async () => {
  publish([one])
  expect(await ask(byOne)).toBe(ID)
  expect(await ask(byTwo)).toBe(DENIED)
  expect(fetches).toBe(1)
})

test('an authority that the bundle has no more issues for nobody, with the very next bundle', async () => {
  publish([one, two], { spiffe_sequence: 1, spiffe_refresh_hint: 60 })
  expect(await ask(byOne)).toBe(ID)
  publish([two], { spiffe_sequence: 2, spiffe_refresh_hint: 60 })
  now += MINUTE
  await ask(byTwo)
  await expect.poll(() => ask(byOne)).toBe(DENIED)
  expect(await ask(byTwo)).toBe(ID)
})

test('an empty bundle revokes every certificate of the trust domain', async () => {
  publish([one])
  expect(await ask(byOne)).toBe(ID)
  publish([])
  now += 10 * MINUTE
  expect(await ask(byOne)).toBe(DENIED)
})

test('a bundle with a lower sequence, which may have a revoked authority, brings none back', async () => {
  publish([two], { spiffe_sequence: 2 })
  expect(await ask(byTwo)).toBe(ID)
  publish([one, two], { spiffe_sequence: 1 })
  now += 10 * MINUTE
  expect(await ask(byOne)).toBe(DENIED)
  expect(await ask(byTwo)).toBe(ID)
})

test('a new authority is found when its first certificate comes, and a flood of foreign ones fetches once in 30 seconds', async () => {
  publish([one])
  expect(await ask(byOne)).toBe(ID)
  publish([one, two])
  for (let i = 0; i < 20; i++) expect(await ask(byTwo)).toBe(DENIED)
  expect(fetches).toBe(1)
  now += MINUTE / 2
  expect(await ask(byTwo)).toBe(ID)
  expect(fetches).toBe(2)
})

test('a bundle that can not be fetched verifies nobody, and one that was fetched serves for 24 hours more', async () => {
  expect(await ask(byOne)).toBe(DENIED)
  publish([one])
  now += MINUTE
  expect(await ask(byOne)).toBe(ID)
  bundle = undefined
  now += DAY - 1
  expect(await ask(byOne)).toBe(ID)
  now += 1
  expect(await ask(byOne)).toBe(DENIED)
})

test.each<[string, () => object]>([
  [
    'two certificates',
    () => entry(one, { x5c: [one, two].map(({ certificate }) => certificate.raw.toString('base64')) }),
  ],
  ['none', () => entry(one, { x5c: undefined })],
  ['what is no certificate', () => entry(one, { x5c: ['AAAA'] })],
  ['the use of another kind', () => entry(one, { use: 'jwt-svid' })],
  ['no use', () => entry(one, { use: undefined })],
])('an authority with %s is none, and the others stay', async (_what, made) => {
  bundle = { keys: [made(), entry(two)] }
  expect(await ask(byOne)).toBe(DENIED)
  expect(await ask(byTwo)).toBe(ID)
})

test('a workload whose own certificate is put into the bundle issues for nobody, itself included', async () => {
  const other = await make('06', byOne)
  bundle = { keys: [entry(byOne)] }
  expect(await ask(other)).toBe(DENIED)
  expect(await ask(byOne)).toBe(DENIED)
})

test('the bundle of one trust domain, or of one tenant, counts for no other', async () => {
  const foreign = await make('05', one, 'spiffe://other.example/agent')
  publish([one])
  const other = trustDomain('spiffe://other.example', 'https://other.example/bundle')
  expect(await ask(byOne, 'acme', [trustDomain(), other])).toBe(ID)
  bundle = { keys: [entry(two)] }
  expect(await ask(foreign, 'acme', [trustDomain(), other])).toBe(DENIED)
  expect(await ask(byOne, 'globex')).toBe(DENIED)
  expect(await ask(byOne)).toBe(ID)
})
