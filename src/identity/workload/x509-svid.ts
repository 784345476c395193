import { X509Certificate } from 'node:crypto'
import type { ClientCertificate } from '#identity/proof/certificate.ts'
import { spiffeIdOf } from '#identity/proof/spiffe-san.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import { stop } from '#identity/stop.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import { factsOf } from './constraints.ts'
import { leadsTo } from './path.ts'

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
  const facts = factsOf(leaf)
  if (typeof facts === 'string') return refused(facts)
  const { isAuthority, keyUsage: usage } = facts
  if (isAuthority || usage?.digitalSignature !== true || usage.keyCertSign || usage.crlSign)
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

function refused(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(stop('workload.untrusted', detail))
}
