import type { EpochSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { API_KEY_ISSUER } from '#model/api-key.ts'
import type { Stop, VerifiedToken } from '#model/identity.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { claimAt, isObject } from './claim-path.ts'
import { isEntraApplication } from './profiles.ts'
import { readStatus } from './status-place.ts'
import { stop } from './stop.ts'
import type { TokenClaims } from './token-claims.ts'

/** What a decision keeps of a verified token: its facts under our names, by the claim mapping of its issuer. */
export function describeToken(claims: TokenClaims): Result<VerifiedToken, Stop> {
  const { issuer, payload, expiresAt, issuedAt, boundTo, keyId, fingerprint } = claims
  const mapping = issuer.claims
  const scopes = readScopes(rolesOfApp(claims) ?? claimAt(payload, mapping.scope ?? 'scope'))
  if (scopes === undefined) return failed(stop('token.claim_invalid', `\`${mapping.scope ?? 'scope'}\``))
  const details = readDetails(payload['authorization_details'])
  if (!details.ok) return details
  const authentication = readAuthentication(payload)
  if (!authentication.ok) return authentication
  const status = readStatus(payload['status'])
  if (status === 'unreadable')
    return failed(stop('token.claim_invalid', '`status.status_list` has no `idx` and `uri`'))
  const blueprint = text(issuer.profile === 'entra' ? payload['xms_par_app_azp'] : undefined)
  return success({
    issuer: issuer.issuer,
    ...(issuer.issuer === API_KEY_ISSUER && { kind: 'api-key' }),
    subject: text(payload['sub']) ?? '',
    id: text(claimAt(payload, mapping.id ?? 'jti')),
    expiresAt,
    issuedAt,
    scopes,
    ...present('session', text(claimAt(payload, mapping.session ?? 'sid'))),
    ...present('keyId', keyId),
    ...present('fingerprint', fingerprint),
    ...present('boundTo', boundTo),
    ...present('authentication', authentication.value),
    ...present('authorizationDetails', details.value),
    ...present('blueprint', blueprint),
    ...present('status', status),
  })
}

/** Entra puts permissions of an application into `roles`; a user's roles under the same name are no scopes. */
function rolesOfApp({ issuer, payload }: TokenClaims): Json | undefined {
  const isPreset = issuer.profile === 'entra' && issuer.claims.scope === 'scp'
  return isPreset && isEntraApplication(payload) ? (payload['roles'] ?? []) : undefined
}

/** Text with spaces (RFC 8693 section 4.2) or a list of names; each once, in their order. */
function readScopes(claim: Json | undefined): readonly string[] | undefined {
  if (claim === undefined) return []
  const names: readonly Json[] | undefined =
    typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : undefined
  if (names === undefined) return undefined
  const scopes = names.filter((name) => typeof name === 'string')
  return scopes.length === names.length ? [...new Set(scopes.filter((name) => name !== ''))] : undefined
}

const DETAILS_MAX = 64

/** RFC 9396 section 2: a list of objects, each with a string `type`. Anything else grants nothing that could be known. */
function readDetails(claim: Json | undefined): Result<VerifiedToken['authorizationDetails'], Stop> {
  if (claim === undefined) return success(undefined)
  const invalid = failed(stop('token.claim_invalid', '`authorization_details`'))
  if (!Array.isArray(claim) || claim.length > DETAILS_MAX) return invalid
  const details = claim.filter(
    (item): item is JsonObject => isObject(item) && typeof item['type'] === 'string',
  )
  return details.length === claim.length ? success(details) : invalid
}

function readAuthentication({
  acr,
  amr,
  auth_time: at,
}: JsonObject): Result<VerifiedToken['authentication'], Stop> {
  if (acr !== undefined && typeof acr !== 'string') return failed(stop('token.claim_invalid', '`acr`'))
  const methods = amr === undefined ? undefined : readScopes(amr)
  if (amr !== undefined && methods === undefined) return failed(stop('token.claim_invalid', '`amr`'))
  if (at !== undefined && !(typeof at === 'number' && at >= 0))
    return failed(stop('token.claim_invalid', '`auth_time`'))
  const found = {
    ...present('acr', acr),
    ...present('amr', methods),
    ...present('at', at as EpochSeconds | undefined),
  }
  return success(Object.keys(found).length === 0 ? undefined : found)
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** `value` under its name; nothing where there is none. */
function present<Name extends string, Item>(
  name: Name,
  value: Item | undefined,
): { readonly [Key in Name]?: Item } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]: Item })
}
