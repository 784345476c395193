import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'

/** What is known of a client ID metadata document; `unknown`: it could not be fetched, or not yet. */
export type ClientDocument = 'good' | 'wrong' | 'unknown'

/** Metadata documents of clients whose id is a URL (draft-ietf-oauth-client-id-metadata-document). */
export interface ClientDocuments {
  /**
   * Answers from memory at once; a document that is not there is fetched meanwhile. INVARIANT: only for an id that a verified token of
   * `issuer` names, so that nobody else chooses what is fetched.
   */
  standingOf(url: string, issuer: Issuer, tenant: TenantId, now: EpochMilliseconds): ClientDocument
}
