import type { OpenSealing } from '#admin/sealing.ts'
import type { TenantId } from '#model/ids.ts'
import type { OpenManagementSecret } from '#signals/check-due.ts'
import type { OpenPollSecret } from '#signals/poll-due.ts'
import type { PollSource } from '#signals/poll-source.ts'
import type { StreamRecord } from '#signals/stream.ts'
import type { StreamManagement } from '#signals/transmitter-client.ts'

/** INVARIANT: both URLs and the client are part of what a secret is sealed for, so that it is shown to no third one. */
const sealedFor = ({ url, client }: Pick<PollSource, 'url' | 'client'>): string =>
  `signal poll ${JSON.stringify([url, client?.tokenUrl ?? null, client?.clientId ?? null])}`

/** INVARIANT: the same for every endpoint that the stream is managed at. */
function managementSealedFor({ endpoints, client }: Pick<StreamManagement, 'endpoints' | 'client'>): string {
  const {
    configuration,
    status = null,
    verification = null,
    addSubject = null,
    removeSubject = null,
  } = endpoints
  const urls = [configuration, status, verification, addSubject, removeSubject]
  return `signal management ${JSON.stringify([...urls, client?.tokenUrl ?? null, client?.clientId ?? null])}`
}

/** The record of a stream of `tenant` as it is stored: its secrets are sealed. @throws when there is no key to seal with */
export async function sealRecord(
  tenant: TenantId,
  record: StreamRecord,
  openSealing: OpenSealing | undefined,
): Promise<StreamRecord> {
  const { source, management } = record
  if (source === undefined && management === undefined) return record
  if (openSealing === undefined) throw new Error('there is no key to seal the secret of the stream with')
  const sealing = await openSealing()
  const seal = (bound: string, secret: string) => ({ secret: sealing.sealToken(tenant, bound, secret) })
  return {
    ...record,
    ...(source && { source: { ...source, ...seal(sealedFor(source), source.secret) } }),
    ...(management && {
      management: { ...management, ...seal(managementSealedFor(management), management.secret) },
    }),
  }
}

/** Opens what polls prove themselves with. */
export function openPollSecret(openSealing: OpenSealing): OpenPollSecret {
  return async (tenant, source) => (await openSealing()).openToken(tenant, sealedFor(source), source.secret)
}

/** Opens what streams are managed with. */
export function openManagementSecret(openSealing: OpenSealing): OpenManagementSecret {
  return async (tenant, management) =>
    (await openSealing()).openToken(tenant, managementSealedFor(management), management.secret)
}
