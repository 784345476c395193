import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { ApiKey } from '#model/api-key.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import type { ApiKeyListing, ApiKeyStore } from './api-key-ports.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { reasonOf } from './grants.ts'
import { newApiKey } from './keys.ts'

/** An API key to add, as an administrator writes it. */
export interface ApiKeyRequest {
  readonly tenant: string
  readonly name: string
  readonly agent: string
  /** 60 seconds to one year. Default 90 days. */
  readonly expiresInSeconds?: number | undefined
  /** SHA-256 thumbprint of a certificate (hex or base64url), and of a public key (RFC 7638), that must be proven beside it. */
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  /** What it counts as having where a tool demands scopes. Default none. */
  readonly scopes?: readonly string[] | undefined
  /** Names of the gateways that it may come through, 1 to 100. Default: any that accept API keys. */
  readonly gateways?: readonly string[] | undefined
}

/** A new secret, which is shown this once, and what is kept of it. */
export type AddedApiKey = ApiKeyListing & { readonly key: string }

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/
/** RFC 6749 section 3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/
const LIMITS_MAX = 100
const EXPIRES_SECONDS = { min: 60, default: 90 * 86_400, max: 366 * 86_400 }
/** Longest time that a replaced secret may stay valid. */
const KEEP_SECONDS_MAX = 30 * 86_400

/** Makes an API key for a registered agent. */
export async function addApiKey(
  store: ApiKeyStore,
  request: ApiKeyRequest,
  now: EpochMilliseconds,
): Promise<Result<AddedApiKey, AdminFailure>> {
  const { name, agent } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!NAME.test(name))
    return failed(
      invalid(
        'api_key.invalid',
        `\`${name.slice(0, 80)}\` can not be the name of an API key`,
        'use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit',
      ),
    )
  const boundTo = bindingOf(request)
  if (!boundTo.ok) return boundTo
  const limits = limitsOf(request)
  if (!limits.ok) return limits
  const secret = newSecret(request.expiresInSeconds, now)
  if (!secret.ok) return secret
  const { key, ...kept } = secret.value
  const added = await store.addApiKey(tenant, {
    name,
    agent,
    boundTo: boundTo.value,
    ...limits.value,
    ...kept,
  })
  return typeof added === 'string' ? failed(whyNot(added, name, agent, tenant)) : success({ ...added, key })
}

function whyNot(
  outcome: 'tenant_unknown' | 'agent_unknown' | 'gateway_unknown' | 'exists',
  name: string,
  agent: string,
  tenant: TenantId,
): AdminFailure {
  if (outcome === 'tenant_unknown') return tenantUnknown(tenant)
  if (outcome === 'agent_unknown') {
    const message = `the tenant \`${tenant}\` has no agent \`${agent.slice(0, 200)}\` that could have a key`
    return refused('agent.unknown', message, `list them with \`warder agent list --tenant ${tenant}\``)
  }
  if (outcome === 'gateway_unknown') {
    const message = `the tenant \`${tenant}\` has not registered each of these gateways`
    return refused('gateway.unknown', message, `list them with \`warder gateway list --tenant ${tenant}\``)
  }
  const message = `there is already an API key \`${name}\`, or there was one`
  const help = `make a new secret with \`warder apikey rotate ${name} --tenant ${tenant}\`, or choose another name`
  return refused('api_key.exists', message, help)
}

/** INVARIANT: a list of gateways that is empty is a mistake, and never stands for all of them. */
function limitsOf({
  scopes = [],
  gateways,
}: ApiKeyRequest): Result<Pick<ApiKey, 'scopes' | 'gateways'>, AdminFailure> {
  if (scopes.length > LIMITS_MAX || !scopes.every((scope) => SCOPE.test(scope)))
    return failed(
      invalid(
        'api_key.invalid',
        'a scope is 1 to 256 printable characters without spaces, quotes and backslashes',
        `give at most ${LIMITS_MAX} of them`,
      ),
    )
  if (gateways !== undefined && (gateways.length === 0 || gateways.length > LIMITS_MAX))
    return failed(
      invalid('api_key.invalid', `an API key is for 1 to ${LIMITS_MAX} gateways, or for all that accept it`),
    )
  return success({
    scopes: [...new Set(scopes)],
    ...(gateways !== undefined && { gateways: [...new Set(gateways)] }),
  })
}

/** A new secret of a key; the older ones stay valid for `keepSeconds` (0 to 30 days). */
export async function rotateApiKey(
  store: ApiKeyStore,
  request: Pick<ApiKeyRequest, 'tenant' | 'name' | 'expiresInSeconds'> & { readonly keepSeconds: number },
  now: EpochMilliseconds,
): Promise<Result<AddedApiKey, AdminFailure>> {
  const { name, keepSeconds } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!Number.isInteger(keepSeconds) || keepSeconds < 0 || keepSeconds > KEEP_SECONDS_MAX)
    return failed(invalid('api_key.invalid', 'the old secrets can stay valid for 0 seconds to 30 days'))
  const secret = newSecret(request.expiresInSeconds, now)
  if (!secret.ok) return secret
  const { key, ...kept } = secret.value
  const until = (now + keepSeconds * 1000) as EpochMilliseconds
  const rotated = await store.rotateApiKey(tenant, name, { ...kept, until })
  return rotated === 'unknown' ? failed(keyUnknown(name, tenant)) : success({ ...rotated, key })
}

/** Ends a key on every server: each of its secrets is on the deny list. */
export async function revokeApiKey(
  store: ApiKeyStore,
  request: Pick<ApiKeyRequest, 'tenant' | 'name'> & { readonly reason: string },
): Promise<Result<{ readonly name: string; readonly revoked: readonly ApiKeyListing[] }, AdminFailure>> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const reason = reasonOf(request.reason)
  if (!reason.ok) return reason
  const revoked = await store.revokeApiKey(tenant, name, reason.value)
  return revoked.length === 0 ? failed(keyUnknown(name, tenant)) : success({ name, revoked })
}

function newSecret(seconds: number = EXPIRES_SECONDS.default, now: EpochMilliseconds) {
  if (!Number.isInteger(seconds) || seconds < EXPIRES_SECONDS.min || seconds > EXPIRES_SECONDS.max)
    return failed(invalid('api_key.invalid', 'an API key ends after 60 seconds to one year'))
  return success({ ...newApiKey(), expiresAt: (now + seconds * 1000) as EpochMilliseconds })
}

function bindingOf({ certificate, key }: ApiKeyRequest): Result<ApiKey['boundTo'], AdminFailure> {
  const hex = certificate?.replaceAll(':', '') ?? ''
  const x5t = /^[0-9a-f]{64}$/i.test(hex) ? Buffer.from(hex, 'hex').toString('base64url') : certificate
  for (const each of [x5t, key])
    if (each !== undefined && !THUMBPRINT.test(each))
      return failed(
        invalid(
          'api_key.invalid',
          'what a key is bound to is a SHA-256 thumbprint',
          'write the 43 characters of base64url, or for a certificate 64 hex digits',
        ),
      )
  if (x5t === undefined && key === undefined) return success(undefined)
  return success({ ...(key !== undefined && { jkt: key }), ...(x5t !== undefined && { x5t }) })
}

function keyUnknown(name: string, tenant: string): AdminFailure {
  const message = `the tenant \`${tenant}\` has no API key \`${name.slice(0, 80)}\` that is not revoked`
  return refused('api_key.unknown', message, `list them with \`warder apikey list --tenant ${tenant}\``)
}
