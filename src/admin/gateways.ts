import type { EpochMilliseconds } from '#lib/clock.ts'
import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { ASSERTION_KINDS, type AssertionKind, type GatewaySettings } from '#model/gateway.ts'
import { type GatewayId, parseTenantId } from '#model/ids.ts'
import type { ObligationType } from '#model/obligation.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { changedSettings, type GatewaySettingsRequest, parseGatewaySettings } from './gateway-settings.ts'
import { certificateKey, newGatewayKey } from './keys.ts'
import type { AdminStore } from './ports.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
/** Longest time that replaced keys may stay valid. */
const KEEP_SECONDS_MAX = 30 * 86_400

const OBLIGATION_TYPES: readonly ObligationType[] = [
  'step_up',
  'human_approval',
  'redact',
  'rate_limit',
  'token_exchange',
  'strip_authorization',
  'set_header',
  'audit',
  'notify',
  'max_age',
]

/** A gateway to add, as an administrator writes it. */
export interface GatewayRequest {
  readonly name: string
  readonly tenant: string
  /** Kinds of fact that it may assert; undefined: the default of its dialect. An empty list: none. */
  readonly asserts: readonly string[] | undefined
  readonly userOnly: boolean
  /** Obligation types that it carries out; undefined: the default of its dialect. */
  readonly obligations: readonly string[] | undefined
  /** SHA-256 of the client certificate that it proves itself with, in place of a key; hex, with or without colons. */
  readonly certificateSha256?: string | undefined
  readonly settings?: GatewaySettingsRequest
}

/** A gateway with its new key, which is shown this once. */
export interface GatewayKey {
  /** Null for a gateway with a client certificate. */
  readonly key: string | null
  readonly gateway: GatewayId
  readonly name: string
  readonly tenant: string
}

/** Registers a gateway and makes its first key. */
export async function addGateway(
  store: AdminStore,
  request: GatewayRequest,
): Promise<Result<GatewayKey, AdminFailure>> {
  const { name, userOnly } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!NAME.test(name)) return failed(badName(name))
  const asserts = known<AssertionKind>('asserted kind', request.asserts, ASSERTION_KINDS)
  if (!asserts.ok) return asserts
  const obligations = known<ObligationType>('obligation', request.obligations, OBLIGATION_TYPES)
  if (!obligations.ok) return obligations
  const proof = proofOf(request.certificateSha256)
  if (!proof.ok) return proof
  const settings = parseGatewaySettings(request.settings ?? {})
  if (!settings.ok) return settings
  const { key, hash, hint } = proof.value
  const added = await store.addGateway({
    name,
    tenant,
    asserts: asserts.value,
    userOnly,
    obligations: obligations.value,
    settings: changedSettings(null, settings.value),
    keyHash: hash,
    keyHint: hint,
  })
  if (added === 'tenant_unknown') return failed(tenantUnknown(tenant))
  if (added === 'key_taken') {
    const message = 'the certificate is that of another gateway, or was so before'
    return failed(refused('gateway.certificate_taken', message, 'each gateway needs one of its own'))
  }
  if (added === 'exists') {
    return failed(
      refused(
        'gateway.exists',
        `the tenant \`${tenant}\` already has a gateway \`${name}\``,
        `make a new key with \`warder gateway rotate ${name} --tenant ${tenant}\`; a revoked name is never used again`,
      ),
    )
  }
  return success({ key, gateway: added, name, tenant })
}

/** A new key of a gateway; its older ones stay valid for `keepSeconds` (0 to 30 days). */
export async function rotateGateway(
  store: AdminStore,
  request: { readonly name: string; readonly tenant: string; readonly keepSeconds: number },
  now: EpochMilliseconds,
): Promise<Result<{ readonly key: string; readonly name: string; readonly tenant: string }, AdminFailure>> {
  const { name, keepSeconds } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined || !NAME.test(name)) return failed(gatewayUnknown(name, request.tenant))
  if (!Number.isInteger(keepSeconds) || keepSeconds < 0 || keepSeconds > KEEP_SECONDS_MAX) {
    return failed(
      invalid(
        'gateway.invalid',
        `the old keys can stay valid for 0 to ${KEEP_SECONDS_MAX} seconds (30 days)`,
      ),
    )
  }
  const { key, hash, hint } = newGatewayKey()
  const until = (now + keepSeconds * 1000) as EpochMilliseconds
  const rotated = await store.rotateGateway(tenant, name, hash, hint, until)
  return rotated === 'unknown' ? failed(gatewayUnknown(name, tenant)) : success({ key, name, tenant })
}

/** Changes what a gateway is registered with and gives what counts from now on; recorded in the audit. */
export async function setGateway(
  store: AdminStore,
  request: { readonly name: string; readonly tenant: string; readonly settings: GatewaySettingsRequest },
): Promise<
  Result<
    {
      readonly gateway: GatewayId
      readonly name: string
      readonly tenant: string
      readonly settings: GatewaySettings
    },
    AdminFailure
  >
> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  const change = parseGatewaySettings(request.settings)
  if (!change.ok) return change
  const set = tenant === undefined ? 'unknown' : await store.setGateway(tenant, name, change.value)
  if (set === 'unknown' || tenant === undefined) return failed(gatewayUnknown(name, request.tenant))
  return success({ gateway: set.gateway, name, tenant, settings: set.settings })
}

/** Ends a gateway: all its keys stop working on every server. */
export async function revokeGateway(
  store: AdminStore,
  request: { readonly name: string; readonly tenant: string },
): Promise<Result<{ readonly name: string; readonly tenant: string }, AdminFailure>> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  const unknown = failed(gatewayUnknown(name, request.tenant))
  if (tenant === undefined || !NAME.test(name)) return unknown
  return (await store.revokeGateway(tenant, name)) === 'unknown' ? unknown : success({ name, tenant })
}

/** A new key, or what is kept of the certificate. */
function proofOf(
  certificateSha256: string | undefined,
): Result<{ readonly key: string | null; readonly hash: string; readonly hint: string }, AdminFailure> {
  if (certificateSha256 === undefined) return success(newGatewayKey())
  const sha256 = certificateSha256.replaceAll(':', '').toLowerCase()
  return /^[0-9a-f]{64}$/.test(sha256)
    ? success({ key: null, ...certificateKey(sha256) })
    : failed(invalid('gateway.invalid', 'the SHA-256 of a certificate has 64 hex digits'))
}

function badName(name: string): AdminFailure {
  return invalid(
    'gateway.invalid',
    `\`${name.slice(0, 80)}\` can not be the name of a gateway`,
    'use 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit',
  )
}

function gatewayUnknown(name: string, tenant: string): AdminFailure {
  return refused(
    'gateway.unknown',
    `the tenant \`${tenant}\` has no gateway \`${name.slice(0, 80)}\` that is not revoked`,
    'list them with `warder gateway list`',
  )
}

/** Each of `given` once, in the order of `choices`; null when nothing was given. */
function known<Choice extends string>(
  what: string,
  given: readonly string[] | undefined,
  choices: readonly Choice[],
): Result<readonly Choice[] | null, AdminFailure> {
  if (given === undefined) return success(null)
  const allowed: readonly string[] = choices
  const wrong = given.find((word) => !allowed.includes(word))
  if (wrong === undefined) return success(choices.filter((choice) => given.includes(choice)))
  const near = nearest(wrong, choices)
  const help = near === undefined ? `use ${choices.join(', ')}` : `did you mean \`${near}\`?`
  return failed(invalid('gateway.invalid', `\`${wrong}\` is not an ${what}`, help))
}
