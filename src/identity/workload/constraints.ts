import type { X509Certificate } from 'node:crypto'

/** What the key of a certificate may sign; undefined when the certificate does not say. */
export interface KeyUsage {
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly crlSign: boolean
}

interface Element {
  readonly tag: number
  readonly content: Uint8Array
}

const SEQUENCE = 0x30
const EXTENSIONS = 0xa3
const OCTET_STRING = 0x04
const BIT_STRING = 0x03
const BOOLEAN = 0x01
/** Object identifiers as they stand in DER: 2.5.29.15 and 2.5.29.19. */
const KEY_USAGE = Buffer.from('551d0f', 'hex')
const BASIC_CONSTRAINTS = Buffer.from('551d13', 'hex')

/** The key usage extension (RFC 5280 section 4.2.1.3), which Node.js does not tell. */
export function keyUsageOf(certificate: X509Certificate): KeyUsage | undefined {
  const value = extensionOf(certificate, KEY_USAGE)
  if (value === undefined) return undefined
  // The first byte says how many bits at the end are unused.
  const first = contentOf(value, BIT_STRING)[1] ?? 0
  return {
    digitalSignature: (first & 0x80) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    crlSign: (first & 0x02) !== 0,
  }
}

/** Whether it calls itself an authority (RFC 5280 section 4.2.1.9); Node.js tells only whether its key may also issue. */
export function isAuthority(certificate: X509Certificate): boolean {
  const [first] = read(contentOf(extensionOf(certificate, BASIC_CONSTRAINTS), SEQUENCE))
  return contentOf(first, BOOLEAN).some((byte) => byte !== 0)
}

function extensionOf({ raw }: X509Certificate, id: Buffer): Element | undefined {
  const [certificate] = read(raw)
  const [toBeSigned] = read(contentOf(certificate, SEQUENCE))
  const extensions = read(contentOf(toBeSigned, SEQUENCE)).find(({ tag }) => tag === EXTENSIONS)
  const [list] = read(extensions?.content ?? new Uint8Array())
  for (const extension of read(contentOf(list, SEQUENCE))) {
    const parts = read(extension.content)
    if (id.equals(parts[0]?.content ?? new Uint8Array()))
      return read(contentOf(parts.at(-1), OCTET_STRING))[0]
  }
  return undefined
}

function contentOf(element: Element | undefined, tag: number): Uint8Array {
  return element?.tag === tag ? element.content : new Uint8Array()
}

/** The DER elements that stand one after another in `bytes`; stops at the first that does not fit. */
function read(bytes: Uint8Array): readonly Element[] {
  const found: Element[] = []
  for (let at = 0; at + 1 < bytes.length; ) {
    const first = bytes[at + 1] ?? 0
    const sizeBytes = first < 0x80 ? 0 : first & 0x7f
    let size = first
    if (sizeBytes > 0) {
      size = 0
      for (let i = 0; i < sizeBytes; i++) size = size * 256 + (bytes[at + 2 + i] ?? 0)
    }
    const start = at + 2 + sizeBytes
    if (sizeBytes > 4 || start + size > bytes.length) return found
    found.push({ tag: bytes[at] ?? 0, content: bytes.subarray(start, start + size) })
    at = start + size
  }
  return found
}
