import type { X509Certificate } from 'node:crypto'
import { isWeak } from '#identity/key-strength.ts'
import { spiffeIdOf } from '#identity/proof/spiffe-san.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { factsOf } from './constraints.ts'
import { mayBeNamed, type Names } from './names.ts'

const PATH_LENGTH_MAX = 4
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_PURPOSE = '2.5.29.37.0'

/** A certificate that has yet to lead on to an anchor, with what stands below it. */
interface Step {
  readonly current: X509Certificate
  /** Authorities below `current` and itself, where it is one. */
  readonly authorities: number
  /** Names of `current` and of all below it. */
  readonly names: Names
}

/**
 * Whether a path leads from `leaf` through certificates of `chain` to one of `anchors`: RFC 5280 section 6.1, with names, signatures,
 * dates, who may issue (basic constraints, key usage), path length, name constraints and critical extensions, of anchors too.
 *
 * Stricter than the RFC: authorities that issued for themselves count for the length, an authority that has a SPIFFE ID issues for its
 * own domain only, one that is for other purposes than clients or has a weak key issues nothing, and signatures with MD5 or SHA-1 count
 * for nothing.
 */
export function leadsTo(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  domain: string,
  now: EpochMilliseconds,
): boolean {
  const own = factsOf(leaf)
  let step: Step | undefined =
    typeof own === 'string' ? undefined : { current: leaf, authorities: 0, names: own.names }
  for (let length = 1; length <= PATH_LENGTH_MAX && step !== undefined; length++) {
    const below: Step = step
    if (anchors.some((anchor) => mayIssue(anchor, below) && issued(anchor, below.current, now))) return true
    const next = chain.find(
      (each) =>
        mayIssue(each, below) &&
        isOfDomain(each, domain) &&
        signsCertificates(each) &&
        issued(each, below.current, now),
    )
    step = next && above(next, below)
  }
  return false
}

function above(authority: X509Certificate, { authorities, names }: Step): Step | undefined {
  const facts = factsOf(authority)
  if (typeof facts === 'string') return undefined
  return { current: authority, authorities: authorities + 1, names: [...names, ...facts.names] }
}

/** Whether what an authority says of itself lets it stand above `step`. */
function mayIssue(authority: X509Certificate, { current, authorities, names }: Step): boolean {
  const [facts, below] = [factsOf(authority), factsOf(current)]
  if (typeof facts === 'string' || typeof below === 'string' || !below.isStrong) return false
  if (isWeak(authority)) return false
  const { keyUsage, isAuthority, pathLengthMax, nameConstraints } = facts
  const purposes: readonly string[] | undefined = authority.keyUsage
  return (
    isAuthority &&
    keyUsage?.keyCertSign !== false &&
    authorities <= pathLengthMax &&
    (nameConstraints === undefined || mayBeNamed(names, nameConstraints)) &&
    (purposes === undefined || purposes.includes(CLIENT_AUTH) || purposes.includes(ANY_PURPOSE))
  )
}

/** An anchor may leave its key usage open; whoever came along must say that it signs certificates (X509-SVID section 4.3). */
function signsCertificates(authority: X509Certificate): boolean {
  const facts = factsOf(authority)
  return typeof facts !== 'string' && facts.keyUsage?.keyCertSign === true
}

function issued(authority: X509Certificate, subject: X509Certificate, now: EpochMilliseconds): boolean {
  return (
    authority.ca &&
    authority.validFromDate.getTime() <= now &&
    authority.validToDate.getTime() >= now &&
    subject.checkIssued(authority) &&
    subject.verify(authority.publicKey)
  )
}

/** An authority that has a SPIFFE ID issues for its own domain only. */
function isOfDomain(authority: X509Certificate, domain: string): boolean {
  const id = spiffeIdOf(authority)
  return id === undefined || spiffeDomainOf(id) === domain
}
