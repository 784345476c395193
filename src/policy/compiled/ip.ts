/** An address or range of addresses. Equal when version, address and prefix are. */
export interface Ip {
  readonly kind: 'ip'
  readonly version: 4 | 6
  readonly address: bigint
  readonly prefix: number
  /** Lowest and highest address of the range. */
  readonly low: bigint
  readonly high: bigint
}

/** Cedar's bound on the text. */
const CHARACTERS_MAX = 43
const OCTET = /^(?:0|[1-9]\d{0,2})$/
const GROUP = /^[0-9a-fA-F]{1,4}$/
const PREFIX = /^(?:0|[1-9]\d{0,2})$/

/**
 * Reads what Cedar's `ip` accepts: an IPv4 or IPv6 address with an optional prefix length, no leading zeros in decimal
 * numbers, no IPv4 inside IPv6. Undefined for anything else.
 */
export function parseIp(text: string): Ip | undefined {
  if (text.length > CHARACTERS_MAX) return undefined
  const slash = text.indexOf('/')
  const address = slash === -1 ? text : text.slice(0, slash)
  const version = address.includes(':') ? 6 : 4
  const bits = version === 6 ? 128 : 32
  const prefix = slash === -1 ? bits : parsePrefix(text.slice(slash + 1), bits)
  const value = version === 6 ? parseV6(address) : parseV4(address)
  if (value === undefined || prefix === undefined) return undefined
  const hosts = (1n << BigInt(bits - prefix)) - 1n
  const low = value - (value & hosts)
  return { kind: 'ip', version, address: value, prefix, low, high: value | hosts }
}

function parsePrefix(text: string, max: number): number | undefined {
  const value = PREFIX.test(text) ? Number(text) : Number.NaN
  return value <= max ? value : undefined
}

function parseV4(text: string): bigint | undefined {
  const octets = text.split('.')
  if (octets.length !== 4) return undefined
  let value = 0
  for (const octet of octets) {
    if (!OCTET.test(octet) || Number(octet) > 255) return undefined
    value = value * 256 + Number(octet)
  }
  return BigInt(value)
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')))
  if (head === undefined) return undefined
  const missing = 8 - head.length - (tail?.length ?? 0)
  // `::` stands for at least one group.
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...(tail ?? [])]
  if (!groups.every((group) => GROUP.test(group))) return undefined
  return BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`)
}

/** 127.0.0.0/8 or ::1, and every address of the range with it. */
export function isLoopback({ version, address, prefix }: Ip): boolean {
  return version === 4 ? address >> 24n === 127n && prefix >= 8 : address === 1n && prefix === 128
}

/** 224.0.0.0/4 or ff00::/8, and every address of the range with it. */
export function isMulticast({ version, address, prefix }: Ip): boolean {
  return version === 4 ? address >> 28n === 14n && prefix >= 4 : address >> 120n === 255n && prefix >= 8
}

/** Whether the whole range lies inside the other; never for different versions. */
export function isInRange(inner: Ip, outer: Ip): boolean {
  return inner.version === outer.version && outer.low <= inner.low && inner.high <= outer.high
}
