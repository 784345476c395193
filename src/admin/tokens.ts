import type { EpochMilliseconds } from '#lib/clock.ts'
import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { newAdminToken } from './keys.ts'
import type { AdminStore, AdminToken } from './ports.ts'
import { ADMIN_ROLES, type AdminRole, parseAdminRole } from './roles.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const EXPIRES_SECONDS_MIN = 60
/** Five years. */
const EXPIRES_SECONDS_MAX = 5 * 365 * 86_400
const TENANTS_MAX = 1_000

/** An admin token to add, as an administrator writes it. */
export interface TokenRequest {
  readonly name: string
  readonly role: string
  /** Tenants that it may see and change; undefined: all. */
  readonly tenants: readonly string[] | undefined
  /** Undefined: it has no end. */
  readonly expiresInSeconds: number | undefined
}

/** A new token, which is shown this once. */
export interface AddedToken {
  readonly token: string
  readonly name: string
  readonly role: AdminRole
  readonly tenants: readonly TenantId[] | null
  readonly expires_at: string | null
}

/**
 * Makes an admin token.
 *
 * @param by who asks: no token can be made that sees more than the one that asks. Undefined: the owner of the database.
 */
export async function addToken(
  store: AdminStore,
  request: TokenRequest,
  by: AdminToken | undefined,
  now: EpochMilliseconds,
): Promise<Result<AddedToken, AdminFailure>> {
  const { name, expiresInSeconds } = request
  const role = parseAdminRole(request.role)
  if (role === undefined) return failed(roleUnknown(request.role))
  const wrong = problemOf(request)
  if (wrong !== undefined) return failed(wrong)
  const tenants = await tenantsOf(store, request.tenants, by)
  if (!tenants.ok) return tenants
  const { key: token, hash, hint } = newAdminToken()
  const expiresAt =
    expiresInSeconds === undefined ? null : ((now + expiresInSeconds * 1000) as EpochMilliseconds)
  const added = await store.addAdminToken({ name, role, tenants: tenants.value, hash, hint, expiresAt })
  if (added === 'exists') {
    const message = `there is already a token \`${name}\`, or there was one`
    return failed(refused('token.exists', message, 'choose another name'))
  }
  const expires = expiresAt === null ? null : new Date(expiresAt).toISOString()
  return success({ token, name, role, tenants: tenants.value, expires_at: expires })
}

/** Ends a token at once. */
export async function revokeToken(
  store: AdminStore,
  name: string,
  by: AdminToken | undefined,
): Promise<Result<{ readonly name: string }, AdminFailure>> {
  const outcome = NAME.test(name) ? await store.revokeAdminToken(name, by?.tenants ?? null) : 'unknown'
  if (outcome === 'revoked') return success({ name })
  const message = `there is no token \`${name.slice(0, 80)}\` that is not revoked`
  return failed(refused('token.unknown', message, 'list them with `warder token list`'))
}

function problemOf({ name, tenants, expiresInSeconds }: TokenRequest): AdminFailure | undefined {
  if (!NAME.test(name)) {
    return invalid(
      'token.invalid',
      `\`${name.slice(0, 80)}\` can not be the name of a token`,
      'use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit',
    )
  }
  if (tenants !== undefined && (tenants.length === 0 || tenants.length > TENANTS_MAX)) {
    return invalid('token.invalid', `a token is for 1 to ${TENANTS_MAX} tenants, or for all`)
  }
  const seconds = expiresInSeconds ?? EXPIRES_SECONDS_MIN
  const isInRange = seconds >= EXPIRES_SECONDS_MIN && seconds <= EXPIRES_SECONDS_MAX
  return Number.isInteger(seconds) && isInRange
    ? undefined
    : invalid('token.invalid', `a token ends after ${EXPIRES_SECONDS_MIN} seconds to five years, or never`)
}

/** INVARIANT: a tenant that `by` can't see is as unknown as one that does not exist. */
async function tenantsOf(
  store: AdminStore,
  given: readonly string[] | undefined,
  by: AdminToken | undefined,
): Promise<Result<readonly TenantId[] | null, AdminFailure>> {
  const within = by?.tenants ?? null
  if (given === undefined) {
    return within === null
      ? success(null)
      : failed(invalid('token.invalid', 'a token for all tenants needs one for all tenants', 'name tenants'))
  }
  const tenants: TenantId[] = []
  for (const text of new Set(given)) {
    const tenant = parseTenantId(text)
    const isVisible = tenant !== undefined && (within === null || within.includes(tenant))
    if (!isVisible || !(await store.hasTenant(tenant))) return failed(tenantUnknown(text.slice(0, 80)))
    tenants.push(tenant)
  }
  return success(tenants)
}

function roleUnknown(role: string): AdminFailure {
  const near = nearest(role, ADMIN_ROLES)
  const help = near === undefined ? `use ${ADMIN_ROLES.join(', ')}` : `did you mean \`${near}\`?`
  return invalid('token.invalid', `\`${role.slice(0, 80)}\` is not a role`, help)
}
