/** One element of DER (X.690). */
export interface Element {
  readonly tag: number
  readonly content: Uint8Array
}

/** Tags of the elements that certificates are made of. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  sequence: 0x30,
} as const

const LENGTH_BYTES_MAX = 4

/**
 * The elements that stand one after another in `bytes`.
 *
 * INVARIANT: undefined unless they fill `bytes` exactly. Lengths that DER does not know (indefinite ones), which OpenSSL reads, would
 * else hide whatever follows.
 */
export function readElements(bytes: Uint8Array): readonly Element[] | undefined {
  const found: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const [tag, first] = [bytes[at], bytes[at + 1]]
    if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f || first === 0x80) return undefined
    const sizeBytes = first < 0x80 ? 0 : first & 0x7f
    if (sizeBytes > LENGTH_BYTES_MAX) return undefined
    const start = at + 2 + sizeBytes
    const size = sizeBytes === 0 ? first : unsigned(bytes.subarray(at + 2, start))
    if (start + size > bytes.length) return undefined
    found.push({ tag, content: bytes.subarray(start, start + size) })
    at = start + size
  }
  return found
}

/** The elements within `element`; undefined unless it has this tag and holds elements. */
export function elementsIn(element: Element | undefined, tag: number): readonly Element[] | undefined {
  return element?.tag === tag ? readElements(element.content) : undefined
}

/** A number of up to four bytes, the highest first. */
export function unsigned(bytes: Uint8Array): number {
  return bytes.reduce((number, byte) => number * 256 + byte, 0)
}
