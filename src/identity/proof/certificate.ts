import { hash, X509Certificate } from 'node:crypto'
import { isWeak } from '#identity/key-strength.ts'
import { stop } from '#identity/stop.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { CertificateSource, PassedCertificate } from '#model/request.ts'
import { parseXfcc } from './xfcc.ts'

/** The certificate that a gateway's client proved in its handshake. */
export interface ClientCertificate {
  /** SHA-256 of its DER, base64url (RFC 8705 section 3.1). */
  readonly thumbprint: string
  /** Undefined where only the digest was passed on. */
  readonly leaf: X509Certificate | undefined
  /** Intermediates, in the order that they were sent in. */
  readonly chain: readonly X509Certificate[]
}

/** The certificate of a header or field, parsed once. */
export type ReadCertificate = (
  passed: PassedCertificate,
  now: EpochMilliseconds,
) => Result<ClientCertificate, Stop>

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_PURPOSE = '2.5.29.37.0'
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
const BYTE_SEQUENCE = /^\s*:([A-Za-z0-9+/]+={0,2}):\s*$/
const CERTIFICATES_MAX = 8

/**
 * A reader of client certificates in all the forms that gateways pass them on in. Dates and purpose are checked each time; whether
 * anybody trusts its issuer is not.
 *
 * What was read is kept under the SHA-256 of what was passed, the newest of it.
 *
 * @param entriesMax how many certificates are kept
 * @param bytesMax how long the texts may be together that they were read from; a longer one is not kept
 */
export function createReadCertificate(entriesMax = 2_000, bytesMax = 16_777_216): ReadCertificate {
  const known = new Map<string, { readonly certificate: ClientCertificate; readonly bytes: number }>()
  let total = 0

  function keep(slot: string, certificate: ClientCertificate, bytes: number): void {
    if (bytes > bytesMax) return
    known.set(slot, { certificate, bytes })
    total += bytes
    for (const [oldest, entry] of known) {
      if (known.size <= entriesMax && total <= bytesMax) return
      known.delete(oldest)
      total -= entry.bytes
    }
  }

  return (passed, now) => {
    // nginx names a certificate even when it did not verify.
    if (passed.source === 'nginx' && passed.verified !== 'SUCCESS')
      return failed(stop('pop.certificate', 'the gateway did not verify the certificate'))
    const { source, value, chain } = passed
    const text = JSON.stringify([source, value, chain])
    const slot = hash('sha256', text)
    const kept = known.get(slot)?.certificate
    const found = kept ?? parse(passed)
    if (found === undefined) return failed(stop('pop.certificate', 'the certificate could not be read'))
    if (kept === undefined) keep(slot, found, text.length)
    const objection = found.leaf && objectionTo(found.leaf, now)
    return objection === undefined ? success(found) : failed(objection)
  }
}

/** Not yet or no longer valid, or made for another purpose than to prove a client. */
function objectionTo(leaf: X509Certificate, now: EpochMilliseconds): Stop | undefined {
  if (leaf.validFromDate.getTime() > now) return stop('pop.certificate', 'the certificate is not valid yet')
  if (leaf.validToDate.getTime() < now) return stop('pop.certificate', 'the certificate has expired')
  if (isWeak(leaf)) return stop('pop.certificate', 'the key of the certificate is too weak')
  const purposes: readonly string[] | undefined = leaf.keyUsage
  const isClient = purposes === undefined || purposes.includes(CLIENT_AUTH) || purposes.includes(ANY_PURPOSE)
  return isClient ? undefined : stop('pop.certificate', 'the certificate is not for clients')
}

function parse(passed: PassedCertificate): ClientCertificate | undefined {
  try {
    return READERS[passed.source](passed)
  } catch {
    return undefined
  }
}

const READERS: {
  readonly [Source in CertificateSource]: (passed: PassedCertificate) => ClientCertificate | undefined
} = {
  tls: ({ value }) => fromPem(value),
  envoy: ({ value }) => fromPem(decodeURIComponent(value)),
  nginx: ({ value }) => fromPem(decodeURIComponent(value)),
  rfc9440: ({ value, chain }) => fromDer(value, chain),
  xfcc: ({ value }) => fromXfcc(value),
}

function fromPem(text: string): ClientCertificate | undefined {
  const blocks = text.match(PEM) ?? []
  if (blocks.length > CERTIFICATES_MAX || text.replace(PEM, '').trim() !== '') return undefined
  return fromCertificates(blocks.map((block) => new X509Certificate(block)))
}

/** RFC 9440 sections 2.2 and 2.3: byte sequences of structured fields. */
function fromDer(value: string, chain: string | undefined): ClientCertificate | undefined {
  const texts = [value, ...(chain === undefined ? [] : chain.split(','))].map(
    (each) => BYTE_SEQUENCE.exec(each)?.[1],
  )
  if (texts.length > CERTIFICATES_MAX || texts.includes(undefined)) return undefined
  return fromCertificates(texts.map((each) => new X509Certificate(Buffer.from(each ?? '', 'base64'))))
}

/** INVARIANT: exactly one hop. With more, all but the last are what somebody before the gateway said. */
function fromXfcc(value: string): ClientCertificate | undefined {
  const elements = parseXfcc(value)
  const [element] = elements ?? []
  if (element === undefined || elements?.length !== 1) return undefined
  const digest = element.get('hash')
  const thumbprint = digest === undefined ? undefined : thumbprintOf(digest)
  if (digest !== undefined && thumbprint === undefined) return undefined
  const certificate = element.get('cert') ?? ''
  if (certificate === '') {
    return thumbprint === undefined ? undefined : { thumbprint, leaf: undefined, chain: [] }
  }
  const read = fromPem(decodeURIComponent(certificate))
  if (read === undefined || read.chain.length > 0) return undefined
  if (thumbprint !== undefined && thumbprint !== read.thumbprint) return undefined
  return { ...read, chain: chainOf(element.get('chain'), read.thumbprint) }
}

function thumbprintOf(digest: string): string | undefined {
  return /^[0-9a-fA-F]{64}$/.test(digest) ? Buffer.from(digest, 'hex').toString('base64url') : undefined
}

/** Envoy's `Chain` begins with the certificate itself. */
function chainOf(chain: string | undefined, own: string): readonly X509Certificate[] {
  const read = chain === undefined ? undefined : fromPem(decodeURIComponent(chain))
  if (read?.leaf === undefined) return []
  return read.thumbprint === own ? read.chain : [read.leaf, ...read.chain]
}

function fromCertificates([leaf, ...chain]: readonly X509Certificate[]): ClientCertificate | undefined {
  return leaf && { thumbprint: hash('sha256', leaf.raw, 'base64url'), leaf, chain }
}
