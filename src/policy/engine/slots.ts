import type { CacheStats } from '#lib/cache-stats.ts'
import type { PolicyRecord, Release } from '#model/release.ts'
import type { CallFault, Engine } from './engine.ts'
import { type ReadPlan, uniteReads } from './read-plan.ts'

/** A slice that the engine has parsed. */
export interface Slot {
  readonly key: string
  /** Name under which the engine knows it. */
  readonly name: string
  readonly plan: ReadPlan
  readonly effects: ReadonlyMap<string, PolicyRecord['effect']>
}

/** Prepared slices, the least recently used one giving way. */
export interface Slots {
  /** The slot of this slice of `release`, prepared if need be. */
  acquire(release: Release, ordinals: readonly number[]): Slot | CallFault
  /** Notes that a call with this slice trapped the engine. */
  trapped(key: string): void
  stats(): CacheStats
}

/** The engine needs about 25 KB for a slice of six policies: 512 slots are some 12 MB. */
const SLOTS_DEFAULT = 512

/** Bound on the policies of all slots together, about 5 KB each: the engine's memory never shrinks again. */
const POLICIES_DEFAULT = 16_384

/** A slice that trapped the engine this often is not tried again: each trap costs every request a rebuild. */
const TRAPS_MAX = 2

/** Bound on remembered traps; the oldest are forgotten. */
const SUSPECTS_MAX = 4_096

/** Makes an empty ring of at most `size` slots (at least 1) and `policiesMax` policies; one slice always fits. */
export function createSlots(
  engine: Engine,
  size: number = SLOTS_DEFAULT,
  policiesMax: number = POLICIES_DEFAULT,
): Slots {
  const ring = new Map<string, Slot>()
  const free: string[] = []
  const suspects = new Map<string, number>()
  let generation = engine.generation
  let held = 0
  let hits = 0
  let misses = 0

  const trapped = (key: string): void => {
    const count = (suspects.get(key) ?? 0) + 1
    suspects.delete(key)
    suspects.set(key, count)
    if (suspects.size > SUSPECTS_MAX) forgetOldest(suspects)
  }

  /** A name for a slice of `count` policies. Slots give way in order; overwriting frees one, the others are emptied. */
  const makeRoom = (count: number): string => {
    const names: string[] = []
    while (ring.size >= size || (ring.size > 0 && held + count > policiesMax)) {
      const oldest = forgetOldest(ring)
      held -= oldest?.effects.size ?? 0
      if (oldest !== undefined) names.push(oldest.name)
    }
    const name = names.shift() ?? free.pop() ?? engine.reserve()
    for (const spare of names) {
      engine.prepare(spare, {})
      free.push(spare)
    }
    return name
  }

  const prepare = (release: Release, ordinals: readonly number[], key: string): Slot | CallFault => {
    const name = makeRoom(ordinals.length)
    const policies = ordinals.map((ordinal) => release.policy(ordinal))
    const fault = engine.prepare(name, textsById(policies))
    if (fault !== undefined) {
      if (fault.trapped) trapped(key)
      else free.push(name)
      return fault
    }
    const effects = new Map(policies.map((policy) => [policy.id, policy.effect]))
    const slot = { key, name, plan: uniteReads(policies), effects }
    ring.set(key, slot)
    held += effects.size
    return slot
  }

  return {
    trapped,
    stats: () => ({ hits, misses, entries: ring.size }),
    acquire: (release, ordinals) => {
      const key = `${release.id}:${ordinals.join()}`
      if (engine.generation !== generation) {
        generation = engine.generation
        ring.clear()
        free.length = 0
        held = 0
      }
      if ((suspects.get(key) ?? 0) >= TRAPS_MAX) return quarantined
      const slot = ring.get(key)
      if (slot === undefined) {
        misses += 1
        return prepare(release, ordinals, key)
      }
      hits += 1
      ring.delete(key)
      ring.set(key, slot)
      return slot
    },
  }
}

const quarantined: CallFault = {
  kind: 'engine',
  detail: `these policies trapped the engine ${TRAPS_MAX} times and are not tried again`,
  trapped: false,
}

function forgetOldest<Entry>(entries: Map<string, Entry>): Entry | undefined {
  const oldest = entries.entries().next().value
  if (oldest === undefined) return undefined
  entries.delete(oldest[0])
  return oldest[1]
}

/** The texts that the engine prepares. */
export function textsById(policies: readonly PolicyRecord[]): { readonly [id: string]: string } {
  const texts: { [id: string]: string } = Object.create(null)
  for (const policy of policies) texts[policy.id] = policy.text
  return texts
}
