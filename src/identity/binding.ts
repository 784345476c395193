import { failed, type Result, success } from '#lib/result.ts'
import type { Stop, VerifiedToken } from '#model/identity.ts'
import type { Json } from '#model/value.ts'
import { isObject } from './claim-path.ts'
import { stop } from './stop.ts'

/** SHA-256 in base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/
const METHODS: ReadonlyMap<string, 'jkt' | 'x5t'> = new Map([
  ['jkt', 'jkt'],
  ['x5t#S256', 'x5t'],
])

/**
 * The key that the `cnf` claim binds a token to; undefined without one.
 *
 * INVARIANT: a member of `cnf` that we don't know is never ignored, since it binds the token to something that nobody would
 * check (RFC 7800 section 3.1). An empty `cnf` binds to nothing that could be proven and denies as well.
 * @see RFC 9449 section 6.1, RFC 8705 section 3.1
 */
export function readBinding(cnf: Json | undefined): Result<VerifiedToken['boundTo'], Stop> {
  if (cnf === undefined) return success(undefined)
  if (!isObject(cnf)) return failed(stop('token.claim_invalid', '`cnf`'))
  const bound: { jkt?: string; x5t?: string } = {}
  for (const [member, value] of Object.entries(cnf)) {
    const method = METHODS.get(member)
    if (method === undefined) return failed(stop('pop.method_unsupported', 'a member of `cnf`'))
    if (typeof value !== 'string' || !THUMBPRINT.test(value))
      return failed(stop('token.claim_invalid', `\`cnf.${member}\``))
    bound[method] = value
  }
  return Object.keys(bound).length === 0
    ? failed(stop('pop.method_unsupported', '`cnf` is empty'))
    : success(bound)
}
