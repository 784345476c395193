import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import type { GrantListing, GrantStore } from './delegation-ports.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'

/** A grant as an administrator asks for it. */
export interface GrantRequest {
  readonly tenant: string
  /** `user:ID`, `user:*` for every user, or `agent:ID`. */
  readonly from: string
  readonly to: string
  readonly scopes?: readonly string[] | undefined
  readonly tools?: readonly string[] | undefined
  readonly authorizationDetails?: readonly JsonObject[] | undefined
  readonly expiresInSeconds?: number | undefined
  readonly reason: string
}

const ID_LENGTH_MAX = 1024
const LIST_MAX = 200
const REASON_LENGTH_MAX = 500
/** Ten years. */
const EXPIRES_SECONDS_MAX = 10 * 365 * 86_400
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const PLAIN = /^[^\u0000-\u001f\u007f]+$/

/** Registers who may act for whom. */
export async function addGrant(
  store: GrantStore,
  request: GrantRequest,
  now: EpochMilliseconds,
): Promise<Result<GrantListing, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const from = fromOf(request.from)
  const fault = from === undefined ? '`from` is `user:ID`, `user:*` or `agent:ID`' : faultOf(request)
  if (from === undefined || fault !== undefined) return failed(invalid('grant.invalid', fault ?? ''))
  const { to, scopes, tools, authorizationDetails, expiresInSeconds } = request
  const stored = await store.addGrant(tenant, {
    from,
    to,
    reason: request.reason.trim(),
    ...(scopes !== undefined && { scopes }),
    ...(tools !== undefined && { tools }),
    ...(authorizationDetails !== undefined && { authorizationDetails }),
    ...(expiresInSeconds !== undefined && {
      expiresAt: (now + expiresInSeconds * 1000) as EpochMilliseconds,
    }),
  })
  return stored === 'tenant_unknown' ? failed(tenantUnknown(tenant)) : success(stored)
}

/** Ends a grant, and with it every delegation that rests on it. */
export async function revokeGrant(
  store: GrantStore,
  request: { readonly tenant: string; readonly grant: string; readonly reason: string },
): Promise<Result<GrantListing, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const reason = reasonOf(request.reason)
  if (!reason.ok) return reason
  const ended = await store.revokeGrant(tenant, request.grant, reason.value)
  if (ended !== 'unknown') return success(ended)
  const message = `the tenant \`${tenant}\` has no grant \`${request.grant.slice(0, 80)}\` in force`
  return failed(refused('grant.unknown', message, `list them with \`warder grant list --tenant ${tenant}\``))
}

/** Why something is changed: one line that is not empty. */
export function reasonOf(text: string): Result<string, AdminFailure> {
  const reason = text.trim()
  return reason !== '' && reason.length <= REASON_LENGTH_MAX && PLAIN.test(reason)
    ? success(reason)
    : failed(
        invalid('reason.missing', `a reason of 1 to ${REASON_LENGTH_MAX} characters in one line is needed`),
      )
}

function fromOf(text: string): { readonly kind: 'user' | 'agent'; readonly id: string } | undefined {
  const [, kind, id = ''] = /^(user|agent):(.+)$/s.exec(text) ?? []
  if (!isId(id) || (kind === 'agent' && id === '*')) return undefined
  return kind === 'user' || kind === 'agent' ? { kind, id } : undefined
}

function faultOf({ to, from, reason, ...more }: GrantRequest): string | undefined {
  const { scopes, tools, authorizationDetails: details, expiresInSeconds: seconds } = more
  if (!isId(to) || to === '*') return '`to` is the id of one agent'
  if (from === `agent:${to}`) return 'an agent needs no grant from itself'
  for (const [name, list] of Object.entries({ scopes, tools }))
    if (list !== undefined && (list.length > LIST_MAX || !list.every(isId)))
      return `\`${name}\` has at most ${LIST_MAX} names without control characters`
  if (
    details !== undefined &&
    (details.length > LIST_MAX || !details.every((each) => typeof each['type'] === 'string'))
  )
    return 'each of the authorization details has a text `type`'
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 1 && seconds <= EXPIRES_SECONDS_MAX))
    return 'a grant lives 1 second to 10 years'
  const given = reasonOf(reason)
  return given.ok ? undefined : given.failure.message
}

function isId(text: string): boolean {
  return text.length > 0 && text.length <= ID_LENGTH_MAX && text.isWellFormed() && PLAIN.test(text)
}
