import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Revocation, RevocationKind, RevocationSource, Revocations } from '#model/revocation.ts'
import { joined, type RevocationChange, RevocationSnapshot } from '#revocation/snapshot.ts'
import type { Sql } from './connections.ts'

/** A change as it stands in the database; `tenant` null: for the whole installation. */
export interface RevocationRow extends RevocationChange {
  readonly tenant: TenantId | null
  readonly version: number
}

interface Stored {
  readonly revocation: string
  readonly tenant: TenantId | null
  readonly kind: RevocationKind
  readonly target: string
  readonly mode: Revocation['mode']
  readonly issued_before: string | null
  readonly expires_at: string | null
  readonly reason: string
  readonly source: RevocationSource
  readonly version: string
  readonly in_force: boolean
}

const BATCH = 1_000

/**
 * What changed after version `since`, oldest first; without it everything in force. One question for all tenants, so that a
 * revocation waits for nobody's release to load.
 */
export async function readRevocations(
  sql: Sql,
  since: number | undefined,
): Promise<readonly RevocationRow[]> {
  const changed =
    since === undefined
      ? sql`version_to is null and (expires_at is null or expires_at > now())`
      : sql`(version_from > ${since} or version_to > ${since})`
  const rows: RevocationRow[] = []
  const found = sql<Stored[]>`
    select revocation::text, tenant, kind, target, mode, issued_before::text, reason, source,
      (extract(epoch from expires_at) * 1000)::text as expires_at,
      greatest(version_from, version_to)::text as version, version_to is null as in_force
    from revocations where ${changed} order by greatest(version_from, version_to), revocation`
  for await (const batch of found.cursor(BATCH)) {
    for (const row of batch) rows.push(toRow(row))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return rows
}

function toRow(row: Stored): RevocationRow {
  const { revocation, kind, target: id, mode, reason, source } = row
  const ends = row.expires_at === null ? {} : { expiresAt: Number(row.expires_at) as EpochMilliseconds }
  const epoch = row.issued_before === null ? {} : { issuedBefore: Number(row.issued_before) as EpochSeconds }
  return {
    tenant: row.tenant,
    version: Number(row.version),
    isInForce: row.in_force,
    revocation: { revocation, kind, id, mode, reason, source, ...ends, ...epoch },
  }
}

/** The revocations of every tenant, at one moment. Immutable. */
export class RevocationLists {
  readonly #everywhere: RevocationSnapshot
  readonly #own: ReadonlyMap<TenantId, RevocationSnapshot>

  private constructor(everywhere: RevocationSnapshot, own: ReadonlyMap<TenantId, RevocationSnapshot>) {
    this.#everywhere = everywhere
    this.#own = own
  }

  static readonly empty = new RevocationLists(RevocationSnapshot.empty, new Map())

  /** Those of one tenant, with those of the whole installation. */
  of(tenant: TenantId): Revocations {
    return joined(this.#own.get(tenant) ?? RevocationSnapshot.empty, this.#everywhere)
  }

  /** The lists after `rows`. */
  apply(rows: readonly RevocationRow[], now: EpochMilliseconds): RevocationLists {
    const own = new Map(this.#own)
    for (const [tenant, changes] of Map.groupBy(rows, (row) => row.tenant)) {
      if (tenant !== null) own.set(tenant, (own.get(tenant) ?? RevocationSnapshot.empty).apply(changes, now))
    }
    const everywhere = rows.filter(({ tenant }) => tenant === null)
    return new RevocationLists(this.#everywhere.apply(everywhere, now), own)
  }
}
