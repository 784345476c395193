import type { DecideRequest, Decision } from './types.ts'

/** Allows that may be used again. */
export interface Keep {
  /** Grows with each `clear`. */
  generation(): number
  find(question: DecideRequest): Promise<Decision | undefined>
  /** Keeps an allow that says how long it may be used, and nothing else. */
  add(question: DecideRequest, decision: Decision): Promise<void>
  clear(): void
}

interface Kept {
  readonly decision: Decision
  /** By the clock of this process. */
  readonly until: number
}

/** @param keptMax beyond it the oldest goes */
export function createKeep(keptMax: number): Keep {
  const kept = new Map<string, Kept>()
  let generation = 0
  return {
    generation: () => generation,
    async find(question) {
      if (question.proofs !== undefined || kept.size === 0) return undefined
      const key = await digestOf(question)
      const found = kept.get(key)
      if (found !== undefined && performance.now() < found.until) return found.decision
      kept.delete(key)
      return undefined
    },
    async add(question, decision) {
      const lifetime = lifetimeOf(decision)
      if (lifetime <= 0 || keptMax <= 0 || question.proofs !== undefined) return
      // INVARIANT: taken before anything is waited for. What is forgotten meanwhile must not come back.
      const [before, until] = [generation, performance.now() + lifetime]
      const key = await digestOf(question)
      if (before !== generation) return
      kept.delete(key)
      kept.set(key, { decision, until })
      const [oldest] = kept.keys()
      if (kept.size > keptMax && oldest !== undefined) kept.delete(oldest)
    },
    clear() {
      generation++
      kept.clear()
    },
  }
}

/**
 * Milliseconds for which an allow may be used again: what `max_age` says, and never beyond `expires_at`. Without `max_age`
 * none: it is good for the one call.
 */
function lifetimeOf({ decision, obligations, expires_at: expiresAt }: Decision): number {
  const seconds = obligations.find(({ type }) => type === 'max_age')?.['seconds']
  if (decision !== 'allow' || typeof seconds !== 'number' || expiresAt === null) return 0
  return Math.min(seconds * 1000, Date.parse(expiresAt) - Date.now()) || 0
}

/** SHA-256 over everything that was asked but the id of the request, with names in order. */
async function digestOf({ request: _request, ...question }: DecideRequest): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(ordered(question)))
  const digest = await crypto.subtle.digest('SHA-256', bytes)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, each]) => [name, ordered(each)])
}
