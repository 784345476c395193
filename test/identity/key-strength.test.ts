import 'reflect-metadata'
import { createPublicKey, generateKeyPairSync, type KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { parseKeySet } from '#identity/key-set.ts'
import { weaknessOf } from '#identity/key-strength.ts'
import { createReadCertificate } from '#identity/proof/certificate.ts'
import { leadsTo } from '#identity/workload/path.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { newAuthority } from '../support/certificates.ts'
import { faultyModulus, faultyPair, likeFaultyModulus } from '../support/faulty-rsa.ts'
import { bytesOf } from '../support/forgeries.ts'
import { passed } from '../support/proofs.ts'

x509.cryptoProvider.set(webcrypto)
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
/** Certificates are made on the real clock. */
const now = Date.now() as EpochMilliseconds
const DAY = 86_400_000

const rsaKey = (n: string, e = 'AQAB') => createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
const modulus = (value: bigint) => bytesOf(value, 1_100).toString('base64url')
const FAULTY = 'the RSA modulus is of a generator whose keys can be factored (CVE-2017-15361)'

test.each<[string, () => KeyObject, string | undefined]>([
  ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey, undefined],
  ['P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, undefined],
  ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey, undefined],
  ['Ed25519', () => generateKeyPairSync('ed25519').publicKey, undefined],
  ['RSA of the faulty generator', () => faultyPair().publicKey, FAULTY],
  ['its modulus of 2,048 bits', () => rsaKey(faultyModulus(2_048)), FAULTY],
  ['its modulus of 4,096 bits', () => rsaKey(faultyModulus(4_096)), FAULTY],
  ['a modulus that only looks like one of it', () => rsaKey(likeFaultyModulus()), undefined],
  ['an even modulus', () => rsaKey(modulus((1n << 2_047n) + 2n)), 'the RSA modulus has a small factor'],
  [
    'a multiple of 167',
    () => rsaKey(modulus(167n * ((1n << 2_041n) + 1n))),
    'the RSA modulus has a small factor',
  ],
  ['2,047 bits', () => rsaKey(modulus((1n << 2_046n) + 1n)), 'the RSA key has fewer than 2048 bits'],
  ['8,193 bits', () => rsaKey(modulus((1n << 8_192n) + 1n)), 'the RSA key has more than 8192 bits'],
  ['the exponent 3', () => rsaKey(likeFaultyModulus(), 'Aw'), 'the RSA exponent is not 65537'],
  [
    'a curve of others',
    () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey,
    'the EC key is on another curve',
  ],
  [
    'a kind that nobody signs with',
    () => generateKeyPairSync('x25519').publicKey,
    'the kind of key is not known',
  ],
])('a key by %s', (_what, make, expected) => {
  expect(weaknessOf(make())).toBe(expected)
})

test('a key set with a key that can be factored, or an EC point on no curve, is refused when it is registered', () => {
  const { jwk } = faultyPair()
  expect(parseKeySet({ keys: [jwk] })).toEqual({ ok: false, failure: `keys[0]: ${FAULTY}` })
  const point = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }
  expect(parseKeySet({ keys: [point] })).toEqual({
    ok: false,
    failure: 'keys[0]: it is no public key of its kind',
  })
})

async function webKeys(pair: Pick<ReturnType<typeof faultyPair>, 'privateKey' | 'publicKey'>) {
  const { subtle } = webcrypto
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' })
  const pkcs8 = pair.privateKey.export({ format: 'der', type: 'pkcs8' })
  return {
    publicKey: await subtle.importKey('spki', spki, RSA, true, ['verify']),
    privateKey: await subtle.importKey('pkcs8', pkcs8, RSA, true, ['sign']),
  }
}
const WEAK = [
  ['can be factored', () => faultyPair()],
  ['is short', () => generateKeyPairSync('rsa', { modulusLength: 1_024 })],
] as const

test.each(WEAK)('a client certificate whose key %s proves nothing', async (_what, make) => {
  const authority = await newAuthority('clients')
  const read = createReadCertificate()
  const good = await authority.issue('good', {
    keys: await webKeys(generateKeyPairSync('rsa', { modulusLength: 2_048 })),
  })
  expect(read(passed('rfc9440', good.certificate), now)).toMatchObject({ ok: true })
  const weak = await authority.issue('weak', { keys: await webKeys(make()) })
  for (const _time of ['first', 'again'])
    expect(read(passed('rfc9440', weak.certificate), now)).toMatchObject({
      ok: false,
      failure: { code: 'pop.certificate', detail: 'the key of the certificate is too weak' },
    })
})

test.each(WEAK)(
  'an authority whose key %s issues for nobody, as an anchor or below one',
  async (_what, make) => {
    const pathOf = async (keys: webcrypto.CryptoKeyPair, isAnchor: boolean) => {
      const dates = { notBefore: new Date(now - DAY), notAfter: new Date(now + DAY), signingAlgorithm: RSA }
      const extensions = [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ]
      const above = isAnchor ? keys : await webKeys(generateKeyPairSync('rsa', { modulusLength: 2_048 }))
      const root = { ...dates, serialNumber: '01', name: 'CN=root', keys: above, extensions }
      const highest = await x509.X509CertificateGenerator.createSelfSigned(root)
      const own = await x509.X509CertificateGenerator.create({
        ...dates,
        serialNumber: '03',
        subject: 'CN=authority',
        issuer: highest.subject,
        publicKey: keys.publicKey,
        signingKey: above.privateKey,
        extensions,
      })
      const leaf = await x509.X509CertificateGenerator.create({
        ...dates,
        serialNumber: '02',
        subject: 'CN=leaf',
        issuer: own.subject,
        publicKey: keys.publicKey,
        signingKey: keys.privateKey,
      })
      const read = (made: x509.X509Certificate) => new X509Certificate(Buffer.from(made.rawData))
      return leadsTo(read(leaf), [read(own)], [read(highest)], 'acme.example', now)
    }
    const good = await webKeys(generateKeyPairSync('rsa', { modulusLength: 2_048 }))
    const weak = await webKeys(make())
    for (const isAnchor of [true, false]) {
      expect(await pathOf(good, isAnchor)).toBe(true)
      expect(await pathOf(weak, isAnchor)).toBe(false)
    }
  },
)
