import { compactVerify, errors } from 'jose'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { ParsedJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import { stop } from './stop.ts'

/** Verifies the signature with this issuer's keys only, and gives the generation of the keys that did. */
export async function verifyText(
  jwt: ParsedJwt,
  tenant: TenantId,
  issuer: Issuer,
  keys: KeySets,
): Promise<Result<number, Stop>> {
  let current = await keys.load(tenant, issuer)
  let key = await current?.set.find(jwt.kid, jwt.alg)
  if (key === undefined && current !== undefined) {
    current = await keys.reload(tenant, issuer)
    key = await current?.set.find(jwt.kid, jwt.alg)
  }
  if (current === undefined) return failed(stop('token.keys_unavailable'))
  if (key === undefined) return failed(stop('token.key_unknown'))
  const { refused } = current.set
  if (refused.has(jwt.text)) return failed(stop('token.signature'))
  try {
    await compactVerify(jwt.text, key, { algorithms: [jwt.alg] })
  } catch (fault) {
    if (fault instanceof errors.JWSSignatureVerificationFailed) refused.add(jwt.text)
    return failed(stop('token.signature'))
  }
  return success(current.generation)
}
