import { hash } from 'node:crypto'
import type { TenantId } from '#model/ids.ts'
import type { Revocation } from '#model/revocation.ts'

/** One message of the stream that gateways follow. Only those with an `id` are points to resume from. */
export interface StreamEvent {
  readonly event: 'revoked' | 'epoch' | 'reset'
  /** State version. */
  readonly id?: number
  readonly data: { readonly seq: number; readonly revoked?: readonly RevokedThing[] }
}

/** What was revoked, as far as a gateway has to know: the hash of `KIND:ID`, so that no id leaves that it does not know. */
export interface RevokedThing {
  readonly kind: Revocation['kind']
  readonly id: string
  /** Seconds since 1970: only what was issued before. */
  readonly issued_before?: number
}

/** A revocation that begins to act. `tenant` null: in all. */
export interface RevokedRow {
  readonly tenant: TenantId | null
  readonly version: number
  readonly revocation: Revocation
}

/** Who follows hears everything of his tenant from where he left, or that he has to start anew. */
export interface RevocationEvents {
  revoked(rows: readonly RevokedRow[]): void
  /** Everything up to `version` acts; in all tenants when undefined. `isWhole`: nothing is known of what was before. */
  settled(tenants: readonly TenantId[] | undefined, version: number, isWhole: boolean): void
  /**
   * Sends what `tenant` missed after version `since`, then everything new, until the returned function is called. Undefined,
   * too old or unknown: a `reset`, after which nothing that was kept is worth anything.
   */
  follow(tenant: TenantId, since: number | undefined, send: (event: StreamEvent) => void): () => void
}

interface Follower {
  readonly tenant: TenantId
  readonly send: (event: StreamEvent) => void
}

/** @param keptMax revocations that are kept for those who come back. Default 10,000. */
export function createRevocationEvents(keptMax = 10_000): RevocationEvents {
  const followers = new Set<Follower>()
  let kept: RevokedRow[] = []
  /** The version up to which everything was told, and the oldest from which can be resumed. */
  let [current, floor] = [0, 0]
  return {
    revoked(rows) {
      kept.push(...rows)
      const dropped = kept.splice(0, Math.max(0, kept.length - keptMax))
      floor = Math.max(floor, ...dropped.map(({ version }) => version))
      for (const { tenant, send } of followers) tell(rows, tenant, current, send)
    },
    settled(tenants, version, isWhole) {
      current = version
      if (isWhole) {
        kept = []
        floor = version
      }
      const named = tenants === undefined ? undefined : new Set(tenants)
      for (const { tenant, send } of followers)
        if (named?.has(tenant) !== false) send(isWhole ? reset(version) : epoch(version))
    },
    follow(tenant, since, send) {
      const isKnown = since !== undefined && since >= floor && since <= current
      if (isKnown) {
        const missed = kept.filter(({ version }) => version > since)
        tell(missed, tenant, current, send)
        send(epoch(current))
      } else send(reset(current))
      const follower = { tenant, send }
      followers.add(follower)
      return () => followers.delete(follower)
    },
  }
}

/** More than these at once are not told one by one: a reader who has to start anew is sooner up to date. */
const TOLD_AT_ONCE_MAX = 500

/** INVARIANT: what belongs to another tenant is never told. */
function tell(
  rows: readonly RevokedRow[],
  tenant: TenantId,
  current: number,
  send: (event: StreamEvent) => void,
): void {
  const own = rows.filter((row) => row.tenant === null || row.tenant === tenant)
  if (own.length > TOLD_AT_ONCE_MAX) send(reset(current))
  else for (const event of eventsOf(own)) send(event)
}

function epoch(version: number): StreamEvent {
  return { event: 'epoch', id: version, data: { seq: version } }
}

function reset(version: number): StreamEvent {
  return { event: 'reset', id: version, data: { seq: version } }
}

function eventsOf(rows: readonly RevokedRow[]): readonly StreamEvent[] {
  return [...Map.groupBy(rows, ({ version }) => version)].map(([seq, group]) => ({
    event: 'revoked' as const,
    data: { seq, revoked: group.map(({ revocation }) => thingOf(revocation)) },
  }))
}

function thingOf({ kind, id, issuedBefore }: Revocation): RevokedThing {
  const hashed = hash('sha256', `${kind}:${id}`)
  return { kind, id: hashed, ...(issuedBefore !== undefined && { issued_before: issuedBefore }) }
}
