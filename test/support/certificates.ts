import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const BOTH: readonly string[] = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]
const DAY_MILLISECONDS = 86_400_000
let serial = 0

/** A certificate and its key in PEM. */
export interface Credentials {
  readonly certificate: string
  readonly key: string
  /** SHA-256 of the certificate in lower-case hex. */
  readonly sha256: string
}

/** What a certificate is like; default: valid, for servers and clients. */
export interface CertificateOptions {
  readonly expired?: boolean
  /** Days from now at which it begins; default 2 ago. */
  readonly fromDays?: number
  readonly purposes?: readonly string[]
  /** Default: a new key on P-256. */
  readonly keys?: webcrypto.CryptoKeyPair
}

/** An authority that issues certificates. */
export interface Authority extends Credentials {
  /** A certificate for `localhost` and 127.0.0.1, for servers and clients unless `purposes` (OIDs) says otherwise. */
  issue(name: string, options?: CertificateOptions): Promise<Credentials>
}

/** Makes an authority with a key of its own. */
export async function newAuthority(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: nextSerial(),
    name: `CN=${name}`,
    ...validity(false),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  })
  return {
    ...(await credentials(own, keys.privateKey)),
    async issue(subject, { expired = false, fromDays = -2, purposes = BOTH, keys: given } = {}) {
      const leafKeys = given ?? (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']))
      const leaf = await x509.X509CertificateGenerator.create({
        serialNumber: nextSerial(),
        subject: `CN=${subject}`,
        issuer: own.subject,
        ...validity(expired, fromDays),
        signingAlgorithm: ALGORITHM,
        publicKey: leafKeys.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.SubjectAlternativeNameExtension([
            { type: 'dns', value: 'localhost' },
            { type: 'ip', value: '127.0.0.1' },
          ]),
          new x509.ExtendedKeyUsageExtension([...purposes]),
        ],
      })
      return await credentials(leaf, leafKeys.privateKey)
    },
  }
}

async function credentials(
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<Credentials> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/(.{64})/g, '$1\n').trim()}\n-----END PRIVATE KEY-----\n`,
    sha256: Buffer.from(await certificate.getThumbprint('SHA-256')).toString('hex'),
  }
}

function validity(expired: boolean, fromDays = -2): { readonly notBefore: Date; readonly notAfter: Date } {
  const from = Date.now() + fromDays * DAY_MILLISECONDS
  return { notBefore: new Date(from), notAfter: new Date(from + DAY_MILLISECONDS * (expired ? 1 : 10)) }
}

function nextSerial(): string {
  serial += 1
  return serial.toString(16).padStart(16, '0')
}
