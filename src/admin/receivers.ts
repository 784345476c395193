import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { ReceiverListing, SignalAdminStore } from './signal-ports.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const AUDIENCE_LENGTH_MAX = 500

/** A receiver to register. */
export interface ReceiverRequest {
  readonly tenant: string
  readonly name: string
  readonly url: string
  /** `webhook`: a gateway that drops what it keeps; `caep`: another system that acts on CAEP events. */
  readonly kind: ReceiverListing['kind']
  /** Undefined: the URL. */
  readonly audience: string | undefined
  readonly privateNetwork: boolean
}

/** Registers who is told of a tenant's revocations from now on. */
export async function addReceiver(
  store: SignalAdminStore,
  request: ReceiverRequest,
): Promise<
  Result<{ readonly tenant: TenantId; readonly name: string; readonly kind: string }, AdminFailure>
> {
  const { name, url, kind, privateNetwork } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!NAME.test(name))
    return failed(invalid('stream.invalid', `\`${name.slice(0, 80)}\` can not be the name of a receiver`))
  const scheme = URL.parse(url)?.protocol
  if (scheme !== 'https:' && !(scheme === 'http:' && privateNetwork))
    return failed(
      invalid(
        'stream.invalid',
        'the URL of a receiver is https',
        'http is for this machine only, with `--private-network`',
      ),
    )
  const audience = request.audience ?? url
  if (audience.length > AUDIENCE_LENGTH_MAX)
    return failed(invalid('stream.invalid', 'the audience is too long'))
  const added = await store.addReceiver(tenant, { name, url, kind, audience, privateNetwork })
  if (added === 'tenant_unknown') return failed(tenantUnknown(tenant))
  if (added === 'exists')
    return failed(refused('stream.exists', `there is already a receiver \`${name}\``, 'remove it first'))
  return success({ tenant, name, kind })
}

/** Ends a receiver; what it was still to be told is dropped. */
export async function removeReceiver(
  store: SignalAdminStore,
  request: { readonly tenant: string; readonly name: string },
): Promise<Result<{ readonly tenant: TenantId; readonly name: string }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const { name } = request
  if ((await store.removeReceiver(tenant, name)) === 'removed') return success({ tenant, name })
  return failed(
    refused('stream.unknown', `the tenant \`${tenant}\` has no receiver \`${name.slice(0, 80)}\``),
  )
}
