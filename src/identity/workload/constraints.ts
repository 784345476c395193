import type { X509Certificate } from 'node:crypto'
import { type Element, elementsIn, readElements, TAG, unsigned } from './der.ts'
import { type NameConstraints, type Names, namesIn, readNameConstraints } from './names.ts'

/** What a certificate says about itself that Node.js does not tell. */
export interface CertificateFacts {
  /** What its key may sign; undefined when it does not say (RFC 5280 section 4.2.1.3). */
  readonly keyUsage: KeyUsage | undefined
  /** Whether it calls itself an authority (section 4.2.1.9). */
  readonly isAuthority: boolean
  /** How many authorities may stand between it and a leaf; infinite when it does not say. */
  readonly pathLengthMax: number
  /** Names that those below it may have (section 4.2.1.10); undefined: any. */
  readonly nameConstraints: NameConstraints | undefined
  readonly names: Names
  /** Whether its signature is of an algorithm that nobody can forge: no MD5, no SHA-1. */
  readonly isStrong: boolean
}

/** What a key may sign. */
export interface KeyUsage {
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly crlSign: boolean
}

interface Extension {
  readonly id: string
  readonly isCritical: boolean
  readonly value: Element
}

const EXTENSIONS = 0xa3
/** Object identifiers as they stand in DER, hexadecimal. */
const KEY_USAGE = '551d0f'
const ALTERNATIVE_NAME = '551d11'
const BASIC_CONSTRAINTS = '551d13'
const NAME_CONSTRAINTS = '551d1e'
/**
 * Extensions that are processed: beside the four above the extended key usage, which Node.js tells, and certificate policies, of
 * which any will do. Whatever else is critical, such as policy constraints, refuses the certificate.
 */
const PROCESSED = new Set([
  KEY_USAGE,
  ALTERNATIVE_NAME,
  BASIC_CONSTRAINTS,
  NAME_CONSTRAINTS,
  '551d25',
  '551d20',
])
/** RSA and ECDSA with SHA-256, SHA-384 and SHA-512; Ed25519. */
const STRONG = new Set([
  '2a864886f70d01010b',
  '2a864886f70d01010c',
  '2a864886f70d01010d',
  '2a8648ce3d040302',
  '2a8648ce3d040303',
  '2a8648ce3d040304',
  '2b6570',
])
const KNOWN = new WeakMap<X509Certificate, CertificateFacts | string>()

/**
 * The facts of a certificate, read once, or why it can't be relied on.
 *
 * INVARIANT: an extension that is critical and not processed here, is there twice, or can't be read refuses the certificate (RFC
 * 5280 sections 4.2 and 6.1.4).
 */
export function factsOf(certificate: X509Certificate): CertificateFacts | string {
  const known = KNOWN.get(certificate) ?? readFacts(certificate)
  KNOWN.set(certificate, known)
  return known
}

function readFacts(certificate: X509Certificate): CertificateFacts | string {
  const [whole] = readElements(certificate.raw) ?? []
  const [toBeSigned, algorithm] = elementsIn(whole, TAG.sequence) ?? []
  const extensions = extensionsIn(toBeSigned)
  const [signedWith] = elementsIn(algorithm, TAG.sequence) ?? []
  if (extensions === undefined || signedWith === undefined) return 'its encoding is not DER'
  const ids = extensions.map(({ id }) => id)
  if (new Set(ids).size < ids.length) return 'an extension is there twice'
  if (extensions.some(({ id, isCritical }) => isCritical && !PROCESSED.has(id)))
    return 'a critical extension is not known'
  const find = (wanted: string) => extensions.find(({ id }) => id === wanted)?.value
  const keyUsage = readKeyUsage(find(KEY_USAGE))
  const basic = readBasicConstraints(find(BASIC_CONSTRAINTS))
  const nameConstraints = readNameConstraints(find(NAME_CONSTRAINTS))
  const names = namesIn(find(ALTERNATIVE_NAME), certificate.subject)
  const isRead =
    keyUsage !== 'unreadable' &&
    basic !== undefined &&
    nameConstraints !== 'unreadable' &&
    names !== undefined
  if (!isRead) return 'an extension can not be read'
  return { ...basic, keyUsage, nameConstraints, names, isStrong: STRONG.has(hex(signedWith.content)) }
}

/** None for a certificate without extensions; undefined when the structure is not that of a certificate. */
function extensionsIn(toBeSigned: Element | undefined): readonly Extension[] | undefined {
  const fields = elementsIn(toBeSigned, TAG.sequence)
  if (fields === undefined) return undefined
  const outer = fields.find(({ tag }) => tag === EXTENSIONS)
  if (outer === undefined) return []
  const [list, more] = readElements(outer.content) ?? []
  const entries = elementsIn(list, TAG.sequence)
  if (entries === undefined || more !== undefined) return undefined
  const extensions = entries.map(readExtension)
  return extensions.every((extension) => extension !== undefined) ? extensions : undefined
}

/** `extnID`, `critical` where it is not false, `extnValue`. */
function readExtension(entry: Element): Extension | undefined {
  const parts = elementsIn(entry, TAG.sequence) ?? []
  const [id, second] = parts
  const text = parts.at(-1)
  const [value, more] = elementsIn(text, TAG.octetString) ?? []
  const hasFlag = parts.length === 3 && second?.tag === TAG.boolean
  if (id?.tag !== TAG.objectId || value === undefined || more !== undefined) return undefined
  if (parts.length !== 2 && !hasFlag) return undefined
  return { id: hex(id.content), isCritical: hasFlag && isTrue(second), value }
}

function readKeyUsage(value: Element | undefined): KeyUsage | undefined | 'unreadable' {
  if (value === undefined) return undefined
  // The first byte says how many bits at the end are unused.
  const [, first] = value.content
  if (value.tag !== TAG.bitString || first === undefined) return 'unreadable'
  return {
    digitalSignature: (first & 0x80) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    crlSign: (first & 0x02) !== 0,
  }
}

/** `cA` where it is not false, `pathLenConstraint` where there is one. */
function readBasicConstraints(
  value: Element | undefined,
): Pick<CertificateFacts, 'isAuthority' | 'pathLengthMax'> | undefined {
  const none = { isAuthority: false, pathLengthMax: Number.POSITIVE_INFINITY }
  if (value === undefined) return none
  const parts = elementsIn(value, TAG.sequence)
  const flags = parts?.filter(({ tag }) => tag === TAG.boolean) ?? []
  const lengths = parts?.filter(({ tag }) => tag === TAG.integer) ?? []
  if (parts === undefined || flags.length > 1 || lengths.length > 1) return undefined
  if (parts.length > flags.length + lengths.length) return undefined
  const [length] = lengths
  // A negative number, which nobody means, begins with a set bit.
  if (length !== undefined && !(length.content.length <= 4 && (length.content[0] ?? 0x80) < 0x80))
    return undefined
  return {
    isAuthority: flags.some(isTrue),
    pathLengthMax: length === undefined ? none.pathLengthMax : unsigned(length.content),
  }
}

function isTrue({ content }: Element): boolean {
  return content.some((byte) => byte !== 0)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
