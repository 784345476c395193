import type { X509Certificate } from 'node:crypto'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'

/**
 * The SPIFFE ID of a certificate; undefined unless its one and only URI name is one (X509-SVID section 2: a certificate with
 * more than one URI name is not an SVID).
 */
export function spiffeIdOf(certificate: X509Certificate): string | undefined {
  const [uri, second] = uriNamesOf(certificate)
  if (uri === undefined || second !== undefined) return undefined
  return spiffeDomainOf(uri) === undefined ? undefined : uri
}

/** URI names; a name with characters that need quoting is no SPIFFE ID and comes as it is. */
function uriNamesOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  return splitNames(subjectAltName).flatMap((name) => (name.startsWith('URI:') ? [name.slice(4)] : []))
}

/** Names are joined by `, `; those with odd characters are quoted JSON strings. */
function splitNames(text: string): readonly string[] {
  return text.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g)?.map((name) => name.trim()) ?? []
}
