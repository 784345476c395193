import { X509Certificate } from 'node:crypto'
import type { ClientCertificate } from '#identity/proof/certificate.ts'
import { spiffeIdOf } from '#identity/proof/spiffe-san.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import { stop } from '#identity/stop.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import { isAuthority, keyUsageOf } from './constraints.ts'

const PATH_LENGTH_MAX = 4
const ANCHORS = new WeakMap<Issuer, readonly X509Certificate[]>()

/**
 * The workload that an X.509-SVID names; undefined for a certificate that is none, or of a trust domain that the tenant has not
 * registered. One that names a registered domain but does not hold is refused.
 *
 * INVARIANT: only the bundle of the workload's own trust domain counts; bundles are never merged (SPIFFE Federation 4.2).
 * @see SPIFFE X509-SVID sections 2, 4 and 5
 */
export function workloadOfSvid(
  { leaf, chain }: ClientCertificate,
  issuers: readonly Issuer[],
  now: EpochMilliseconds,
): Result<string | undefined, Stop> {
  const id = leaf && spiffeIdOf(leaf)
  const domain = id && spiffeDomainOf(id)
  const bundle = domain && issuers.find((each) => isBundleOf(each, domain))
  if (leaf === undefined || id === undefined || domain === undefined || !bundle) return success(undefined)
  if (id === `spiffe://${domain}`) return refused('the id of a workload has a path')
  const usage = keyUsageOf(leaf)
  if (isAuthority(leaf) || usage?.digitalSignature !== true || usage.keyCertSign || usage.crlSign)
    return refused('a certificate that can issue others names no workload')
  return leadsTo(leaf, chain, anchorsOf(bundle), domain, now)
    ? success(id)
    : refused('no path leads to the bundle of the trust domain')
}

function isBundleOf({ profile, issuer }: Issuer, domain: string): boolean {
  return profile === 'spiffe' && issuer === `spiffe://${domain}`
}

/** The certificates of a SPIFFE bundle: keys with the use `x509-svid`, one certificate each. */
function anchorsOf(issuer: Issuer): readonly X509Certificate[] {
  const known = ANCHORS.get(issuer)
  if (known !== undefined) return known
  const keys = issuer.keys.kind === 'static' ? issuer.keys.keys : []
  const anchors = keys.flatMap(({ use, x5c }) => {
    const [text, second]: readonly unknown[] = Array.isArray(x5c) ? x5c : []
    if (use !== 'x509-svid' || typeof text !== 'string' || second !== undefined) return []
    try {
      return [new X509Certificate(Buffer.from(text, 'base64'))]
    } catch {
      return []
    }
  })
  ANCHORS.set(issuer, anchors)
  return anchors
}

/** RFC 5280 section 6, as far as SPIFFE needs it: names, signatures, dates, and who may issue. */
function leadsTo(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  domain: string,
  now: EpochMilliseconds,
): boolean {
  let current = leaf
  for (let length = 1; length <= PATH_LENGTH_MAX; length++) {
    if (anchors.some((anchor) => issued(anchor, current, now))) return true
    const next = chain.find((each) => issued(each, current, now) && isOfDomain(each, domain))
    if (next === undefined) return false
    current = next
  }
  return false
}

function issued(authority: X509Certificate, subject: X509Certificate, now: EpochMilliseconds): boolean {
  return (
    authority.ca &&
    authority.validFromDate.getTime() <= now &&
    authority.validToDate.getTime() >= now &&
    keyUsageOf(authority)?.keyCertSign !== false &&
    subject.checkIssued(authority) &&
    subject.verify(authority.publicKey)
  )
}

/** An authority that has a SPIFFE ID issues for its own domain only. */
function isOfDomain(authority: X509Certificate, domain: string): boolean {
  const id = spiffeIdOf(authority)
  return id === undefined || spiffeDomainOf(id) === domain
}

function refused(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(stop('workload.untrusted', detail))
}
