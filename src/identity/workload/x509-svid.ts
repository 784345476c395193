import type { CurrentKeys, KeySets } from '#identity/key-sets.ts'
import type { ClientCertificate } from '#identity/proof/certificate.ts'
import { spiffeIdOf } from '#identity/proof/spiffe-san.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import { stop } from '#identity/stop.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import { factsOf } from './constraints.ts'
import { leadsTo } from './path.ts'

/** Whose trust domains a certificate is looked up in, and their bundles. */
export interface SvidAsked {
  readonly tenant: Pick<TenantState, 'id' | 'issuers'>
  readonly keys: Pick<KeySets, 'load' | 'reload'>
  readonly now: EpochMilliseconds
}

/**
 * The workload that an X.509-SVID names; undefined for a certificate that is none, or of a trust domain that the tenant has not
 * registered. One that names a registered domain but does not hold is refused.
 *
 * INVARIANT: only the bundle of the workload's own trust domain counts, as it is now; bundles are never merged (SPIFFE Federation 4.2),
 * and what an authority issued ends when the bundle has it no more.
 * @see SPIFFE X509-SVID sections 2, 4 and 5
 */
export async function workloadOfSvid(
  { leaf, chain }: ClientCertificate,
  { tenant, keys, now }: SvidAsked,
): Promise<Result<string | undefined, Stop>> {
  const id = leaf && spiffeIdOf(leaf)
  const domain = id && spiffeDomainOf(id)
  const bundle = domain && tenant.issuers.find((each) => isBundleOf(each, domain))
  if (leaf === undefined || id === undefined || domain === undefined || !bundle) return success(undefined)
  if (id === `spiffe://${domain}`) return refused('the id of a workload has a path')
  const facts = factsOf(leaf)
  if (typeof facts === 'string') return refused(facts)
  const { isAuthority, keyUsage: usage } = facts
  if (isAuthority || usage?.digitalSignature !== true || usage.keyCertSign || usage.crlSign)
    return refused('a certificate that can issue others names no workload')
  const isOf = ({ set }: CurrentKeys) => leadsTo(leaf, chain, set.anchors, domain, now)
  const current = await keys.load(tenant.id, bundle)
  if (current === undefined) return refused('the bundle of the trust domain could not be fetched')
  if (isOf(current)) return success(id)
  // A new authority may have issued it, as a new key may have signed a token.
  const newer = await keys.reload(tenant.id, bundle)
  const isRenewed = newer !== undefined && newer.generation !== current.generation
  return isRenewed && isOf(newer) ? success(id) : refused('no path leads to the bundle of the trust domain')
}

function isBundleOf({ profile, issuer }: Issuer, domain: string): boolean {
  return profile === 'spiffe' && issuer === `spiffe://${domain}`
}

function refused(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(stop('workload.untrusted', detail))
}
