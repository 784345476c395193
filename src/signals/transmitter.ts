import type { SignSet } from '#identity/set-signer.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import { DELIVERY_METHODS } from './delivery.ts'
import { createManageStreams, type ManageStreams } from './manage.ts'
import type { OutgoingStreams, Receiver } from './outgoing.ts'
import { createServePoll, type ServePoll } from './serve-poll.ts'
import { TENANTS, tenantIssuer } from './transmit.ts'

/** Paths on the decision listener. */
export const SSF_PATHS = {
  stream: '/v1/ssf/stream',
  status: '/v1/ssf/status',
  verify: '/v1/ssf/verify',
  /** The id of the stream follows. */
  poll: '/v1/ssf/poll/',
} as const

/** What receivers of our events are served with. */
export interface Transmitter {
  /** The metadata that is found at `path`; undefined: none. */
  configurationAt(path: string): JsonObject | undefined
  /** The receiver whose credential has this SHA-256 (hex). */
  find(keyHash: string): Promise<Receiver | undefined>
  readonly streams: ManageStreams
  readonly poll: ServePoll
}

/** A transmitter that is reached under `publicUrl`. */
export function createTransmitter(parts: {
  readonly publicUrl: string
  readonly store: OutgoingStreams
  readonly sign: SignSet
}): Transmitter {
  const { publicUrl, store, sign } = parts
  const issuerOf = (tenant: TenantId): string => tenantIssuer(publicUrl, tenant)
  const base = publicUrl.replace(/\/+$/, '')
  const pollUrl = (stream: string): string => `${base}${SSF_PATHS.poll}${stream}`
  // The well-known segment stands between host and path of the issuer (SSF 7.2).
  const wellKnown = `/.well-known/ssf-configuration${new URL(base).pathname.replace(/\/+$/, '')}${TENANTS}`
  return {
    configurationAt(path) {
      const tenant = path.startsWith(wellKnown) ? parseTenantId(path.slice(wellKnown.length)) : undefined
      return tenant === undefined ? undefined : configurationOf(publicUrl, tenant)
    },
    find: (keyHash) => store.find(keyHash),
    streams: createManageStreams({ store, issuerOf, pollUrl }),
    poll: createServePoll({ store, sign, issuerOf }),
  }
}

/**
 * Transmitter configuration metadata (SSF 7.1) of `tenant`.
 *
 * INVARIANT: it is made of names alone, so it is the same whether or not there is such a tenant.
 */
function configurationOf(publicUrl: string, tenant: TenantId): JsonObject {
  const base = publicUrl.replace(/\/+$/, '')
  return {
    spec_version: '1_0',
    issuer: tenantIssuer(publicUrl, tenant),
    jwks_uri: `${base}/.well-known/jwks.json`,
    delivery_methods_supported: [DELIVERY_METHODS.push, DELIVERY_METHODS.poll],
    configuration_endpoint: `${base}${SSF_PATHS.stream}`,
    status_endpoint: `${base}${SSF_PATHS.status}`,
    verification_endpoint: `${base}${SSF_PATHS.verify}`,
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6750' }],
    default_subjects: 'ALL',
  }
}
