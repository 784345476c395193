import { type Result, success } from '#lib/result.ts'
import type { Stop, Transaction, VerifiedIdentity } from '#model/identity.ts'
import type { TenantState } from '#model/state.ts'
import type { KeySets } from './key-sets.ts'
import type { Signer } from './proof/message-signature.ts'
import { spiffeDomainOf } from './spiffe-id.ts'

/** What came beside the parties of a call. */
export interface Beside {
  readonly transaction: Transaction | undefined
  readonly signer: Signer | undefined
  /** Issuers whose keys the proofs of its actors were checked with. */
  readonly actors: readonly string[]
  readonly tenant: TenantState
  readonly keys: Pick<KeySets, 'isStale'>
}

/**
 * The same parties, in a transaction, with the key that signed the call (unless their token is bound to it, it proves nothing) and with
 * the issuers whose overdue keys all this rests on.
 *
 * INVARIANT: what was verified earlier and is remembered rests on the keys as they are now, like what is verified now.
 */
export function complete(
  identity: Result<VerifiedIdentity, Stop>,
  { transaction, signer, actors, tenant, keys }: Beside,
): Result<VerifiedIdentity, Stop> {
  if (!identity.ok) return identity
  const { token, presenter = signer && { proof: 'none', thumbprint: signer.thumbprint } } = identity.value
  const domain = presenter?.workload === undefined ? undefined : spiffeDomainOf(presenter.workload)
  const names = [
    token?.issuer,
    domain && `spiffe://${domain}`,
    transaction?.issuer,
    signer?.issuer,
    ...actors,
  ]
  const stale = tenant.issuers.filter((each) => names.includes(each.issuer) && keys.isStale(tenant.id, each))
  return success({
    ...identity.value,
    ...(transaction !== undefined && { transaction }),
    ...(presenter !== undefined && { presenter }),
    ...(stale.length > 0 && { staleKeys: stale.map(({ issuer }) => issuer) }),
  })
}
