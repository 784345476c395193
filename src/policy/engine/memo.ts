import type { CacheStats } from '#lib/cache-stats.ts'
import type { Evaluation } from '#policy/port.ts'

/** Answers of the engine by everything that went into them, the least recently used giving way. */
export interface Memo {
  find(key: string): Evaluation | undefined
  /** Keeps an answer. A key that was not offered before is only noted: most questions never come again. */
  offer(key: string, answer: Evaluation): void
  stats(): CacheStats
}

/** With keys of about 1.5 KB: some 12 MB. */
const ENTRIES_DEFAULT = 8_192
/** Longer keys are not kept: they cost more than they save, and entries would not be bounded in bytes. */
const KEY_CHARACTERS_MAX = 4_096
/** Digests of keys that were seen once; a collision only keeps an answer one question early. */
const NOTES = 16_384

/**
 * Remembers what a pure function answered.
 *
 * INVARIANT: the key is compared as a whole and holds everything that the engine is given (the policies by release and
 * ordinals, the request, all attributes that a policy could read), so there is nothing that could make an answer stale:
 * a change of state or policies asks another question.
 */
export function createMemo(entriesMax: number = ENTRIES_DEFAULT): Memo {
  const answers = new Map<string, Evaluation>()
  const notes = new Int32Array(NOTES)
  let hits = 0
  let misses = 0
  const isNew = (key: string): boolean => {
    const digest = digestOf(key)
    const place = (digest >>> 1) & (NOTES - 1)
    if (notes[place] === digest) return false
    notes[place] = digest
    return true
  }
  return {
    find: (key) => {
      const answer = answers.get(key)
      if (answer === undefined) {
        misses += 1
        return undefined
      }
      hits += 1
      answers.delete(key)
      answers.set(key, answer)
      return answer
    },
    offer: (key, answer) => {
      if (key.length > KEY_CHARACTERS_MAX || isNew(key)) return
      const oldest = answers.size >= entriesMax ? answers.keys().next().value : undefined
      if (oldest !== undefined) answers.delete(oldest)
      answers.set(key, answer)
    },
    stats: () => ({ hits, misses, entries: answers.size }),
  }
}

/** FNV-1a over the code units; never 0. */
function digestOf(key: string): number {
  let digest = 0x811c9dc5
  for (let i = 0; i < key.length; i += 1) digest = Math.imul(digest ^ key.charCodeAt(i), 0x01000193)
  return digest | 1
}
