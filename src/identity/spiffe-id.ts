const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/
const ID_BYTES_MAX = 2_048

/**
 * The trust domain that a SPIFFE ID belongs to, or undefined when `text` is none: lower-case trust domain, no port, user,
 * query, fragment or percent sign, no empty or dot segments, at most 2,048 bytes (SPIFFE-ID sections 2.1 to 2.3). The id of a
 * trust domain itself, without a path, counts as well.
 */
export function spiffeDomainOf(text: string): string | undefined {
  if (text.length > ID_BYTES_MAX) return undefined
  const [, domain, path = ''] = SPIFFE_ID.exec(text) ?? []
  const hasDots = path.split('/').some((segment) => segment === '.' || segment === '..')
  return hasDots ? undefined : domain
}
