import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { ShardedMap } from '#lib/sharded-map.ts'
import type { Dependency, Revocation, Revocations } from '#model/revocation.ts'

/** What changed in the list: a revocation that is in force now, or one that is not any more. */
export interface RevocationChange {
  readonly revocation: Revocation
  readonly isInForce: boolean
}

/** Revocations by what they revoke. Immutable: `apply` gives a new snapshot, at the cost of what changes. */
export class RevocationSnapshot implements Revocations {
  readonly #byTarget: ShardedMap<readonly Revocation[]>
  /** How many things are revoked; one may be so several times over. */
  readonly size: number

  private constructor(byTarget: ShardedMap<readonly Revocation[]>) {
    this.#byTarget = byTarget
    this.size = byTarget.size
  }

  static readonly empty = new RevocationSnapshot(ShardedMap.empty())

  /** The snapshot after `changes`, in their order. What has expired at `now` is dropped from the targets that change. */
  apply(changes: readonly RevocationChange[], now: EpochMilliseconds): RevocationSnapshot {
    const changed = new Map<string, readonly Revocation[] | undefined>()
    for (const { revocation, isInForce } of changes) {
      const key = keyOf(revocation)
      const before = changed.has(key) ? changed.get(key) : this.#byTarget.get(key)
      const others = (before ?? []).filter(
        (each) => each.revocation !== revocation.revocation && isUnexpired(each, now),
      )
      const after = isInForce && isUnexpired(revocation, now) ? [...others, revocation] : others
      changed.set(key, after.length === 0 ? undefined : after)
    }
    return changed.size === 0 ? this : new RevocationSnapshot(this.#byTarget.change(changed))
  }

  find(
    dependencies: readonly Dependency[],
    now: EpochMilliseconds,
    issuedAt: EpochSeconds | undefined,
  ): Revocation | undefined {
    if (this.size === 0) return undefined
    for (const dependency of dependencies) {
      const found = this.#byTarget.get(keyOf(dependency))?.find((each) => stops(each, now, issuedAt))
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** The revocations of a tenant together with those of the whole installation. */
export function joined(own: Revocations, everywhere: Revocations): Revocations {
  return {
    size: own.size + everywhere.size,
    find: (dependencies, now, issuedAt) =>
      own.find(dependencies, now, issuedAt) ?? everywhere.find(dependencies, now, issuedAt),
  }
}

/** A kind has no blank in it, so no id can spell the key of another kind. */
function keyOf({ kind, id }: Dependency): string {
  return `${kind} ${id}`
}

function isUnexpired({ expiresAt }: Revocation, now: EpochMilliseconds): boolean {
  return expiresAt === undefined || now < expiresAt
}

/** INVARIANT: a token that does not say when it was issued is as old as any. */
function stops(revocation: Revocation, now: EpochMilliseconds, issuedAt: EpochSeconds | undefined): boolean {
  const { issuedBefore } = revocation
  const isOlder = issuedBefore === undefined || issuedAt === undefined || !(issuedAt >= issuedBefore)
  return isOlder && isUnexpired(revocation, now)
}
