import { setTimeout as pause } from 'node:timers/promises'
import type { Release } from '#model/release.ts'
import type { EngineFault, Evaluation, Query } from '#policy/port.ts'
import type { AskReference } from './reference.ts'

/** Whether two answers are one: the same satisfied and the same errored policies. Faults are no answers. */
export function agree(a: Evaluation, b: Evaluation): boolean {
  return sameIds(a.satisfied, b.satisfied) && sameIds(a.errored, b.errored)
}

function sameIds(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}

/** The policies whose scope a query matches. */
export function matchingOrdinals(release: Release, query: Query): readonly number[] {
  return release.matching({
    principal: query.principal,
    principalAncestors: query.entity(query.principal)?.ancestors ?? [],
    action: query.action,
    actionAncestors: query.actionAncestors,
    resource: query.resource,
    resourceAncestors: query.entity(query.resource)?.ancestors ?? [],
  })
}

/** Gives other work the loop whenever a stretch of checking has used its time; checking takes a third of it at most. */
export type Breathe = () => Promise<void> | undefined

const STRETCH_MILLISECONDS = 2
const PAUSE_MILLISECONDS = 4

/** Starts a stretch of work. */
export function createBreathe(): Breathe {
  let startedAt = performance.now()
  return () => {
    if (performance.now() - startedAt < STRETCH_MILLISECONDS) return undefined
    return pause(PAUSE_MILLISECONDS, undefined, { ref: false }).then(() => {
      startedAt = performance.now()
    })
  }
}

/** A few policies are asked about at a time: cedar-wasm parses about 10 KB in a millisecond, and compiling takes time too. */
const PART_POLICIES_MAX = 16
const PART_CHARACTERS_MAX = 8_192

/** The ordinals in parts that take a few milliseconds each. */
export function* inParts(release: Release, ordinals: readonly number[]): Generator<readonly number[]> {
  let part: number[] = []
  let characters = 0
  for (const ordinal of ordinals) {
    const { length } = release.policy(ordinal).text
    if (part.length > 0 && (part.length >= PART_POLICIES_MAX || characters + length > PART_CHARACTERS_MAX)) {
      yield part
      part = []
      characters = 0
    }
    part.push(ordinal)
    characters += length
  }
  if (part.length > 0) yield part
}

/** Up to this many policies cedar-wasm is asked with all of them, so that it checks the scope index too. */
const WHOLE_MAX = 128

/** Whether cedar-wasm is asked with all policies of a release, matching or not. */
export function isAskedWhole(release: Release): boolean {
  return release.policyCount <= WHOLE_MAX
}

/**
 * What the reference says to one live query. The policies that match are few as a rule, and the slice that is prepared for
 * them serves the next sample too; more of them are asked in parts.
 */
export async function liveAnswer(
  ask: AskReference,
  release: Release,
  query: Query,
): Promise<Evaluation | EngineFault> {
  const ordinals = matchingOrdinals(release, query)
  return ordinals.length > PART_POLICIES_MAX
    ? await referenceAnswer(ask, release, query, ordinals)
    : await ask(release, ordinals, query)
}

/** What the reference says to a query, in parts. Policies do not know of each other, so the answers can be put together. */
export async function referenceAnswer(
  ask: AskReference,
  release: Release,
  query: Query,
  ordinals: readonly number[] = askedOrdinals(release, query),
): Promise<Evaluation | EngineFault> {
  const answers: Evaluation[] = []
  for (const part of inParts(release, ordinals)) {
    const answer = await ask(release, part, query)
    if ('kind' in answer) return answer
    answers.push(answer)
  }
  return united(release, answers)
}

function askedOrdinals(release: Release, query: Query): readonly number[] {
  return isAskedWhole(release)
    ? Array.from({ length: release.policyCount }, (_, ordinal) => ordinal)
    : matchingOrdinals(release, query)
}

/** The answer of all parts together: with a satisfied forbid in any of them the forbids, else the permits. */
function united(release: Release, answers: readonly Evaluation[]): Evaluation {
  const satisfied = answers.flatMap((answer) => answer.satisfied)
  const forbids = satisfied.filter((id) => release.find(id)?.effect === 'forbid')
  return {
    satisfied: (forbids.length > 0 ? forbids : satisfied).toSorted(byText),
    errored: answers.flatMap((answer) => answer.errored).toSorted(byText),
  }
}

function byText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
