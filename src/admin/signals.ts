import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { parseStreamFile } from '#signals/stream-file.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { reasonOf } from './grants.ts'
import { hashKey } from './keys.ts'
import {
  newAuthorization,
  type SetUpStream,
  type StreamParts,
  setUpStream,
  streamExists,
  transmitterFailure,
} from './stream-setup.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/

/** A stream that was registered: where it is polled, or what its transmitter pushes with. */
export type RegisteredStream = {
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

/** Adds a stream of security events from the text of its file: one that was set up by hand, or by a call to its transmitter. */
export async function addStream(
  parts: StreamParts,
  request: { readonly tenant: string; readonly name: string; readonly text: string },
): Promise<Result<RegisteredStream | SetUpStream, AdminFailure>> {
  const { store } = parts
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  if (!NAME.test(name))
    return failed(invalid('stream.invalid', `\`${name.slice(0, 80)}\` can not be the name of a stream`))
  const file = parseStreamFile(parseJson(request.text))
  if (!file.ok) return failed(invalid('stream.invalid', `the stream file: ${file.failure}`))
  const { record, transmitter } = file.value
  if (transmitter !== undefined) return await setUpStream(parts, { tenant, name, record, setup: transmitter })
  const authorization = newAuthorization()
  const added = await store.addStream(tenant, name, record, hashKey(authorization))
  if (added === 'tenant_unknown') return failed(tenantUnknown(tenant))
  if (added === 'exists') return failed(streamExists(name))
  const { stream } = added
  const { source } = record
  const way = source === undefined ? { path: `/v1/signals/${stream}`, authorization } : { poll: source.url }
  return success({ tenant, name, stream, ...way })
}

/** Which stream is removed, and why. */
export interface Removal {
  readonly tenant: string
  readonly name: string
  readonly reason: string
  /** Not at its transmitter, which may be gone. */
  readonly onlyHere: boolean
}

/** Ends a stream, at its transmitter first where Warder manages it; what it revoked stays revoked. */
export async function removeStream(
  { store, client }: StreamParts,
  { name, onlyHere, ...request }: Removal,
): Promise<Result<{ readonly tenant: TenantId; readonly name: string }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const reason = reasonOf(request.reason)
  if (!reason.ok) return reason
  const managed = onlyHere ? 'unmanaged' : await store.findManaged(tenant, name)
  if (managed === 'sealed') return failed({ ...secretClosed(name), help: REMOVE_HERE })
  if (typeof managed !== 'string') {
    const after = { stream: managed.id, removed: true, reason: reason.value, done: false }
    await store.recordManaged(tenant, name, { before: null, after })
    try {
      await client.remove(managed)
    } catch (error) {
      return failed({ ...transmitterFailure(error), help: REMOVE_HERE })
    }
  }
  const removed = await store.removeStream(tenant, name, reason.value)
  return removed === 'removed' ? success({ tenant, name }) : failed(streamUnknown(tenant, name))
}

const REMOVE_HERE = 'remove it here alone with `--only-here`; the transmitter then keeps its stream'

/** The answer when there is no such stream. */
export function streamUnknown(tenant: TenantId, name: string): AdminFailure {
  const message = `the tenant \`${tenant}\` has no stream \`${name.slice(0, 80)}\``
  return refused('stream.unknown', message, 'list them with `warder signal list`')
}

/** The answer when the secret of a stream was sealed with a key that is not here. */
export function secretClosed(name: string): AdminFailure {
  const message = `the secret of the stream \`${name.slice(0, 80)}\` can not be opened here`
  return refused('stream.transmitter', message, 'use the sealing keys that it was added with')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
