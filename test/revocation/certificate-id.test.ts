import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { certificateId } from '#revocation/certificate-id.ts'

x509.cryptoProvider.set(webcrypto)
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const ID = 'C=DE,CN=Example Issuing CA 2,O=Acme\\, Inc.|AFF'

test.each([
  ['RFC 4514', 'CN=Example Issuing CA 2,O=Acme\\, Inc.,C=DE', '0aff'],
  ['OpenSSL', 'C = DE, O = Acme\\, Inc., CN = Example Issuing CA 2', '0A:FF'],
  ['Node.js', 'C=DE\nO=Acme\\, Inc.\nCN=Example Issuing CA 2', '0AFF'],
  ['several attributes in one part', 'cn=Example Issuing CA 2 + o=Acme\\, Inc.,c=DE', '0x0aff'],
])('the id of a certificate is one, as %s writes it', (_who, issuer, serial) => {
  expect(certificateId(issuer, serial)).toBe(ID)
})

test('the id of a certificate is that which Node.js reads in it', async () => {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '0aff',
    name: 'CN=Example Issuing CA 2, O=Acme\\, Inc., C=DE',
    signingAlgorithm: ALGORITHM,
    keys,
  })
  const { issuer, serialNumber } = new X509Certificate(Buffer.from(made.rawData))
  expect(certificateId(issuer, serialNumber)).toBe(ID)
})

test.each([
  ['no issuer', '', '0a'],
  ['an issuer that is no name', 'Acme', '0a'],
  ['a part of the issuer that is no attribute', 'CN=ca,', '0a'],
  ['no serial number', 'CN=ca', ''],
  ['a serial number that is none', 'CN=ca', '12 or 13'],
])('%s makes no id', (_what, issuer, serial) => {
  expect(certificateId(issuer, serial)).toBeUndefined()
})

test('another serial number, or another issuer, is another certificate', () => {
  const ids = [
    ['CN=ca', '10'],
    ['CN=ca', '1'],
    ['CN=ca', '0100'],
    ['CN=ca,O=b', '10'],
    ['CN=ca\\,O=b', '10'],
  ].map(([issuer = '', serial = '']) => certificateId(issuer, serial))
  expect(new Set(ids).size).toBe(ids.length)
})
