const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Random bytes are drawn in blocks: one call per id costs more than the id. */
const BLOCK = 4096
const block = new Uint8Array(BLOCK)
let used = BLOCK

/**
 * A UUIDv7 (RFC 9562 section 5.7): sorts by `milliseconds` since 1970, 74 random bits.
 * Ids of the same millisecond are unordered.
 */
export function uuidV7(milliseconds: number): string {
  if (used + 10 > BLOCK) {
    crypto.getRandomValues(block)
    used = 0
  }
  const time = Math.floor(milliseconds).toString(16).padStart(12, '0')
  const random = block.subarray(used, used + 10)
  used += 10
  const hex = (index: number): string => HEX[random[index] ?? 0] ?? '00'
  const version = HEX[0x70 | ((random[0] ?? 0) & 0x0f)] ?? '70'
  const variant = HEX[0x80 | ((random[2] ?? 0) & 0x3f)] ?? '80'
  const tail = hex(4) + hex(5) + hex(6) + hex(7) + hex(8) + hex(9)
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex(1)}-${variant}${hex(3)}-${tail}`
}
