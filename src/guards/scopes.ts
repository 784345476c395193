import type { Stop, VerifiedToken } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import { type DetailedCall, fitsDetails } from './authorization-details.ts'

/**
 * What stops a call because its token does not reach as far: a scope that the tenant demands for this tool or its group is
 * missing, or the token has `authorization_details` and none covers the call. Both are ceilings; policies decide below them.
 *
 * INVARIANT: without a token there are no scopes, so a demand for one can't be met by leaving the token out.
 *
 * @param needed all scopes that the call needs; the challenge names every one, so that one new token suffices
 */
export function guardScopes(
  token: VerifiedToken | undefined,
  needed: readonly string[],
  call: DetailedCall,
): Stop | undefined {
  if (!needed.every((scope) => token?.scopes.includes(scope)))
    return {
      code: 'scope.insufficient',
      message: REASONS['scope.insufficient'],
      challenge: { scheme: 'Bearer', error: 'insufficient_scope', scope: needed },
    }
  if (token?.authorizationDetails !== undefined && !fitsDetails(token.authorizationDetails, call))
    return {
      code: 'scope.authorization_details',
      message: REASONS['scope.authorization_details'],
      challenge: { scheme: 'Bearer', error: 'insufficient_scope' },
    }
  return undefined
}
