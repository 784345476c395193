import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { objectionTo } from '#signals/delivery.ts'
import type { ReceiverKind } from '#signals/transmit.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { newReceiverKey } from './keys.ts'
import type { ReceiverListing, ReceiverStore } from './receiver-ports.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const AUDIENCE_LENGTH_MAX = 500
/** Longest time that replaced credentials may stay valid. */
const KEEP_SECONDS_MAX = 30 * 86_400

/** A receiver to register. */
export interface ReceiverRequest {
  readonly tenant: string
  readonly name: string
  /** Where events are pushed to; undefined: the receiver gets a credential and makes its stream itself. */
  readonly url: string | undefined
  /** `webhook`: a gateway that drops what it keeps; `caep`: another system that acts on CAEP events. */
  readonly kind: ReceiverKind
  /** Undefined: the URL, or without one a name of its own. */
  readonly audience: string | undefined
  readonly privateNetwork: boolean
}

/** A receiver that was registered. */
export interface AddedReceiver {
  readonly tenant: TenantId
  readonly name: string
  readonly kind: ReceiverKind
  readonly audience: string
  /** Shown this once; null: it has none. */
  readonly key: string | null
}

/** Which receiver. */
export interface ReceiverName {
  readonly tenant: string
  readonly name: string
}

/** Registers who is told of a tenant's revocations from now on. */
export async function addReceiver(
  store: ReceiverStore,
  request: ReceiverRequest,
): Promise<Result<AddedReceiver, AdminFailure>> {
  const { name, url, kind, privateNetwork } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!NAME.test(name))
    return failed(invalid('receiver.invalid', `\`${name.slice(0, 80)}\` can not be the name of a receiver`))
  const objection = url === undefined ? undefined : objectionTo(url, privateNetwork)
  if (objection !== undefined)
    return failed(
      invalid(
        'receiver.invalid',
        `the URL of a receiver ${objection}`,
        'private networks, and http to this machine, need `private_network`',
      ),
    )
  const audience = request.audience ?? url ?? `urn:warder:receiver:${tenant}:${name}`
  if (audience.length === 0 || audience.length > AUDIENCE_LENGTH_MAX)
    return failed(invalid('receiver.invalid', `the audience has 1 to ${AUDIENCE_LENGTH_MAX} characters`))
  const made = url === undefined ? newReceiverKey() : undefined
  const origin = url !== undefined && privateNetwork ? new URL(url).origin : undefined
  const receiver = { name, url, kind, audience, privateNetwork, origin, key: made }
  const added = await store.addReceiver(tenant, receiver)
  if (added === 'tenant_unknown') return failed(tenantUnknown(tenant))
  if (added === 'exists')
    return failed(refused('receiver.exists', `there is already a receiver \`${name}\``, 'remove it first'))
  return success({ tenant, name, kind, audience, key: made?.key ?? null })
}

/** Ends a receiver; what it was still to be told is dropped. */
export async function removeReceiver(
  store: ReceiverStore,
  request: ReceiverName,
): Promise<Result<{ readonly tenant: TenantId; readonly name: string }, AdminFailure>> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const removed = await store.removeReceiver(tenant, name)
  return removed === 'unknown' ? failed(receiverUnknown(name, tenant)) : success({ tenant, name })
}

/** One receiver with its stream and its queue. */
export async function showReceiver(
  store: ReceiverStore,
  request: ReceiverName,
): Promise<Result<ReceiverListing, AdminFailure>> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const found = await store.findReceiver(tenant, name)
  return found === undefined ? failed(receiverUnknown(name, tenant)) : success(found)
}

/**
 * A new credential of a receiver, its first one too; the older ones stay valid for `keepSeconds` (0 to 30 days).
 * `mayOpenPrivate`: who asks may let a receiver into a private network, and so may have a credential of one.
 */
export async function rotateReceiver(
  store: ReceiverStore,
  request: ReceiverName & { readonly keepSeconds: number; readonly mayOpenPrivate: boolean },
  now: EpochMilliseconds,
): Promise<Result<{ readonly tenant: TenantId; readonly name: string; readonly key: string }, AdminFailure>> {
  const { name, keepSeconds, mayOpenPrivate } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!Number.isInteger(keepSeconds) || keepSeconds < 0 || keepSeconds > KEEP_SECONDS_MAX)
    return failed(invalid('receiver.invalid', 'the old credentials can stay valid for 0 seconds to 30 days'))
  const { key, ...kept } = newReceiverKey()
  const until = (now + keepSeconds * 1000) as EpochMilliseconds
  const rotated = await store.rotateReceiver(tenant, name, kept, until, mayOpenPrivate)
  if (rotated === 'private')
    return failed(
      refused(
        'receiver.private',
        `\`${name}\` may be pushed to in a private network; its credential is for who may allow that`,
        'ask with a token for all tenants, or on the server',
      ),
    )
  return rotated === 'unknown' ? failed(receiverUnknown(name, tenant)) : success({ tenant, name, key })
}

/** Ends the credentials of a receiver on every server at once, and disables its stream. */
export async function revokeReceiver(
  store: ReceiverStore,
  request: ReceiverName,
): Promise<Result<{ readonly tenant: TenantId; readonly name: string }, AdminFailure>> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const revoked = await store.revokeReceiver(tenant, name)
  return revoked === 'unknown' ? failed(receiverUnknown(name, tenant)) : success({ tenant, name })
}

function receiverUnknown(name: string, tenant: string): AdminFailure {
  const message = `the tenant \`${tenant}\` has no receiver \`${name.slice(0, 80)}\``
  return refused(
    'receiver.unknown',
    message,
    `list them with \`warder signal receiver list --tenant ${tenant}\``,
  )
}
