/** An attribute that follows one of these begins a new part of a name; an escaped one is part of a value. */
const SEPARATOR = /(?<!\\)[,+\n]/

/**
 * The id of a certificate by issuer and serial number in one spelling, whoever wrote it down: attributes of the name sorted, so that
 * the orders of OpenSSL and RFC 4514 are equal, with their types in upper case; the number as hexadecimal digits in upper case
 * without colons, prefix and leading zeros.
 *
 * Undefined where either says nothing. INVARIANT: a number without its issuer names the certificates of every authority.
 *
 * @param serial hexadecimal, as `0A:FF`, `0x0aff` or `aff`
 */
export function certificateId(issuer: string, serial: string): string | undefined {
  const attributes = issuer
    .split(SEPARATOR)
    .map((part) => /^\s*([A-Za-z0-9.]+)\s*=\s*(.*?)\s*$/.exec(part))
    .map((found) => found && `${(found[1] ?? '').toUpperCase()}=${found[2] ?? ''}`)
  const digits = serial.replace(/^0x/i, '').replaceAll(':', '')
  if (attributes.includes(null) || !/^[0-9a-f]{1,64}$/i.test(digits)) return undefined
  return `${attributes.toSorted().join(',')}|${digits.toUpperCase().replace(/^0+(?=.)/, '')}`
}
