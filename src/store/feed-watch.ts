import type { TenantId } from '#model/ids.ts'
import type { RevocationRow } from './revocation-lists.ts'

/** Who is told what changed. */
export interface FeedWatch {
  /** Revocations that act from now on. */
  revoked(rows: readonly RevocationRow[]): void
  /** Everything up to `version` acts: in these tenants, or undefined in all. `isWhole`: all of it was read anew. */
  settled(tenants: readonly TenantId[] | undefined, version: number, isWhole: boolean): void
}
