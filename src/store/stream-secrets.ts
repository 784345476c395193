import type { OpenSealing } from '#admin/sealing.ts'
import type { TenantId } from '#model/ids.ts'
import type { OpenManagementSecret } from '#signals/check-due.ts'
import type { OpenPollSecret } from '#signals/poll-due.ts'
import type { PollSource } from '#signals/poll-source.ts'
import type { StreamRecord } from '#signals/stream.ts'
import type { TransmitterAccess } from '#signals/transmitter-access.ts'
import type { StreamManagement } from '#signals/transmitter-client.ts'

/** INVARIANT: both URLs are part of what a secret is sealed for, so that it is shown to no third one; so is how it is shown. */
const sealedFor = ({ url, client }: Pick<PollSource, 'url' | 'client'>, privateNetwork: boolean): string =>
  `signal poll ${JSON.stringify([url, ...shownBy(client, privateNetwork)])}`

/** The client that a secret is of, how it proves itself with it, and whether its URLs may lead into private networks. */
function shownBy(
  client: TransmitterAccess['client'],
  privateNetwork: boolean,
): readonly (string | boolean | null)[] {
  const { tokenUrl = null, clientId = null, authentication = null } = client ?? {}
  return [tokenUrl, clientId, authentication, privateNetwork]
}

/** INVARIANT: the same for every endpoint that the stream is managed at. */
function managementSealedFor(
  { endpoints, client }: Pick<StreamManagement, 'endpoints' | 'client'>,
  privateNetwork: boolean,
): string {
  const {
    configuration,
    status = null,
    verification = null,
    addSubject = null,
    removeSubject = null,
  } = endpoints
  const urls = [configuration, status, verification, addSubject, removeSubject]
  return `signal management ${JSON.stringify([...urls, ...shownBy(client, privateNetwork)])}`
}

/** The record of a stream of `tenant` as it is stored: its secrets are sealed. @throws when there is no key to seal with */
export async function sealRecord(
  tenant: TenantId,
  record: StreamRecord,
  openSealing: OpenSealing | undefined,
): Promise<StreamRecord> {
  const { source, management } = record
  const privateNetwork = record.issuer.privateNetwork === true
  if (source === undefined && management === undefined) return record
  if (openSealing === undefined) throw new Error('there is no key to seal the secret of the stream with')
  const sealing = await openSealing()
  const seal = (bound: string, secret: string) => ({ secret: sealing.sealToken(tenant, bound, secret) })
  return {
    ...record,
    ...(source && { source: { ...source, ...seal(sealedFor(source, privateNetwork), source.secret) } }),
    ...(management && {
      management: {
        ...management,
        ...seal(managementSealedFor(management, privateNetwork), management.secret),
      },
    }),
  }
}

/** Opens what polls prove themselves with. */
export function openPollSecret(openSealing: OpenSealing): OpenPollSecret {
  return async (tenant, source, privateNetwork) =>
    (await openSealing()).openToken(tenant, sealedFor(source, privateNetwork), source.secret)
}

/** Opens what streams are managed with. */
export function openManagementSecret(openSealing: OpenSealing): OpenManagementSecret {
  return async (tenant, { management, privateNetwork }) =>
    (await openSealing()).openToken(
      tenant,
      managementSealedFor(management, privateNetwork),
      management.secret,
    )
}
