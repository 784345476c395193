import type { Judgement } from '#model/answer.ts'
import { isIndeterminate } from '#model/challenge.ts'
import type { VerifiedIdentity } from '#model/identity.ts'

/** What a call says about who asks, and did not hold. */
const IDENTITY = /^(?:credentials|token|pop|workload|signature|txn|identity)\./
/** No credential came, or a client is told the nonce that it needs: nobody claimed to be somebody. */
const NO_CLAIM: readonly string[] = ['credentials.missing', 'identity.missing', 'pop.nonce']

/**
 * Whether a call was denied because who asks could not be verified: a forged, expired or foreign credential.
 *
 * INVARIANT: it is counted for the gateway that it came through, never for whom it names; and nothing is refused because of the count.
 * Whoever reaches a gateway could pull such a brake, and it would stop the verified callers of that gateway.
 */
export function isUnverified({
  judgement,
  identity,
}: {
  readonly judgement: Pick<Judgement, 'effect' | 'reasons'>
  readonly identity?: VerifiedIdentity
}): boolean {
  const code = judgement.reasons[0]?.code ?? ''
  if (judgement.effect !== 'deny' || identity !== undefined) return false
  return IDENTITY.test(code) && !NO_CLAIM.includes(code) && !isIndeterminate(code)
}
