import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency, Revocation, Revocations } from '#model/revocation.ts'
import type { TenantRules } from '#model/tenant-rules.ts'

/** What an agent's latest decisions were, and what follows when too many were denials. */
export interface Breakers {
  /** Breakers that this process opened and that are still open; the database's come with the tenant's state. */
  of(tenant: TenantId): Revocations
  /**
   * Counts one decision about `agent`. INVARIANT: only called for an agent whose identity was verified, so that nobody can
   * trip the breaker of an agent whose name is all he has.
   */
  count(counted: Counted): void
}

/** One decision, as breakers see it. */
export interface Counted {
  readonly tenant: TenantId
  readonly agent: string
  readonly rules: TenantRules | undefined
  readonly isDenied: boolean
  readonly now: EpochMilliseconds
}

/** A breaker that opened, as it is stored for the other servers. */
export interface Trip {
  readonly tenant: TenantId
  readonly agent: string
  readonly reason: string
  readonly expiresAt: EpochMilliseconds
}

type BreakerRule = NonNullable<TenantRules['breaker']>

/** Parts of a window; the oldest part is forgotten as a whole. */
const SLICES = 6
const OPEN_SECONDS_MAX = 86_400

/**
 * Circuit breakers with a sliding window for each agent. A breaker opens here at once; `onTrip` tells the other servers.
 * When its time is over the count begins anew, so a few calls are let through to see how they end.
 *
 * @param agentsMax agents that are counted at once; who has been quiet for longest is forgotten first. Default 10,000.
 */
export function createBreakers(onTrip: (trip: Trip) => void, agentsMax = 10_000): Breakers {
  const windows = new Map<string, Window>()
  const open = new Map<string, Revocation>()
  return {
    of: (tenant) => ({
      size: open.size,
      find: (dependencies, now) => findOpen(open, tenant, dependencies, now),
    }),
    count({ tenant, agent, rules, isDenied, now }) {
      const rule = usable(rules?.breaker)
      if (rule === undefined) return
      const key = keyOf(tenant, agent)
      const window = windows.get(key) ?? new Window()
      windows.delete(key)
      if (windows.size >= agentsMax) windows.delete(windows.keys().next().value ?? '')
      windows.set(key, window)
      const { denied, all } = window.add(isDenied, now, rule.windowSeconds * 1000)
      if (!isDenied || all < rule.minimum || denied / all < rule.denyShare) return
      windows.delete(key)
      const expiresAt = (now + rule.openSeconds * 1000) as EpochMilliseconds
      const reason = `${denied} of ${all} decisions within ${rule.windowSeconds} s were denials`
      const revocation = `breaker:${toSeconds(now)}`
      const shared = { kind: 'agent', id: agent, mode: 'breaker', source: 'breaker' } as const
      open.set(key, { ...shared, revocation, reason, expiresAt })
      forgetClosed(open, now)
      onTrip({ tenant, agent, reason, expiresAt })
    },
  }
}

function findOpen(
  open: ReadonlyMap<string, Revocation>,
  tenant: TenantId,
  dependencies: readonly Dependency[],
  now: EpochMilliseconds,
): Revocation | undefined {
  if (open.size === 0) return undefined
  for (const { kind, id } of dependencies) {
    const found = kind === 'agent' ? open.get(keyOf(tenant, id)) : undefined
    if (found?.expiresAt !== undefined && now < found.expiresAt) return found
  }
  return undefined
}

function forgetClosed(open: Map<string, Revocation>, now: EpochMilliseconds): void {
  for (const [key, { expiresAt = 0 }] of open) if (expiresAt <= now) open.delete(key)
}

/** A rule whose numbers make sense; any other is none, for it came from a hand-written row. */
function usable(rule: BreakerRule | undefined): BreakerRule | undefined {
  if (rule === undefined) return undefined
  const { denyShare, minimum, windowSeconds, openSeconds } = rule
  const isUsable = denyShare > 0 && denyShare <= 1 && minimum >= 1 && windowSeconds > 0 && openSeconds > 0
  return isUsable ? { ...rule, openSeconds: Math.min(openSeconds, OPEN_SECONDS_MAX) } : undefined
}

/** A tenant's name has no blank in it. */
function keyOf(tenant: TenantId, agent: string): string {
  return `${tenant} ${agent}`
}

/** Decisions of one agent, by parts of the window. */
class Window {
  #newest = 0
  readonly #denied: number[] = new Array(SLICES).fill(0)
  readonly #all: number[] = new Array(SLICES).fill(0)

  add(isDenied: boolean, now: EpochMilliseconds, length: number) {
    const slice = Math.floor(now / (length / SLICES))
    // A clock that was set back counts on where it was.
    const behind = Math.min(Math.max(0, slice - this.#newest), SLICES)
    for (let i = 1; i <= behind; i++) this.#clear((slice - behind + i) % SLICES)
    this.#newest = Math.max(this.#newest, slice)
    const at = this.#newest % SLICES
    this.#all[at] = (this.#all[at] ?? 0) + 1
    if (isDenied) this.#denied[at] = (this.#denied[at] ?? 0) + 1
    return { denied: sum(this.#denied), all: sum(this.#all) }
  }

  #clear(at: number): void {
    this.#all[at] = 0
    this.#denied[at] = 0
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
