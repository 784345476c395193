const INTEGER = 0x02
const SEQUENCE = 0x30
const SHORT_LENGTH_MAX = 127

/**
 * An ECDSA signature as OpenSSL reads it: DER (X.690) of the two halves that a JWS has (RFC 7518 section 3.4), which say the same. Node.js
 * would do it too, but then verifies a third slower.
 *
 * @param signature two numbers of the same even length together, at most 132 bytes
 */
export function derOf(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2
  const r = integerOf(signature.subarray(0, half))
  const s = integerOf(signature.subarray(half))
  const length = r.length + s.length
  const head = length > SHORT_LENGTH_MAX ? [SEQUENCE, 0x81, length] : [SEQUENCE, length]
  return Buffer.concat([Buffer.from(head), r, s])
}

/** The shortest form of a number that is not negative: a first bit that is set would be a sign. */
function integerOf(bytes: Uint8Array): Uint8Array {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1
  const shortest = bytes.subarray(start)
  const sign = (shortest[0] ?? 0) > 0x7f ? [0] : []
  return Buffer.concat([Buffer.from([INTEGER, sign.length + shortest.length, ...sign]), shortest])
}
