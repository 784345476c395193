import { randomBytes } from 'node:crypto'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { parseStream } from '#signals/stream.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { hashKey } from './keys.ts'
import type { SignalAdminStore } from './signal-ports.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/

/** A stream that was added: where it is polled, or what its transmitter pushes with. */
export type AddedStream = {
  readonly tenant: TenantId
  readonly name: string
  readonly stream: string
} & ({ readonly poll: string } | PushTarget)

/** Shown this once. */
interface PushTarget {
  /** Path on the decision listener that the transmitter pushes to. */
  readonly path: string
  /** Value of the `Authorization` header that the transmitter must send. */
  readonly authorization: string
}

/** Registers a stream of security events from the text of its file. */
export async function addStream(
  store: SignalAdminStore,
  request: { readonly tenant: string; readonly name: string; readonly text: string },
): Promise<Result<AddedStream, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!NAME.test(request.name))
    return failed(
      invalid('stream.invalid', `\`${request.name.slice(0, 80)}\` can not be the name of a stream`),
    )
  const record = parseStream(parseJson(request.text))
  if (!record.ok) return failed(invalid('stream.invalid', `the stream file: ${record.failure}`))
  const authorization = `Bearer wss_${randomBytes(32).toString('base64url')}`
  const added = await store.addStream(tenant, request.name, record.value, hashKey(authorization))
  if (added === 'tenant_unknown') return failed(tenantUnknown(tenant))
  if (added === 'exists')
    return failed(
      refused('stream.exists', `there is already a stream \`${request.name}\``, 'remove it first'),
    )
  const { stream } = added
  const { source } = record.value
  const way = source === undefined ? { path: `/v1/signals/${stream}`, authorization } : { poll: source.url }
  return success({ tenant, name: request.name, stream, ...way })
}

/** Ends a stream; what it revoked stays revoked. */
export async function removeStream(
  store: SignalAdminStore,
  request: { readonly tenant: string; readonly name: string },
): Promise<Result<{ readonly tenant: TenantId; readonly name: string }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const { name } = request
  if ((await store.removeStream(tenant, name)) === 'removed') return success({ tenant, name })
  const message = `the tenant \`${tenant}\` has no stream \`${name.slice(0, 80)}\``
  return failed(refused('stream.unknown', message, 'list them with `warder signal list`'))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
