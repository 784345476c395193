import type { PolicyRecord, Release } from '#model/release.ts'
import type { PartyQuery } from './ask/asked.ts'
import type { PartyEvaluation } from './combine.ts'
import { residual } from './compiled/partial.ts'
import type { Evaluation } from './port.ts'

/**
 * What a party's evaluation could become with the best arguments, for a query that was asked without any.
 *
 * A policy that reads `context.input` may turn out either way, so its forbids are left out and its permits count where no
 * other permit is satisfied. Everything else stands. So the result says allow wherever some arguments would be allowed, and
 * sometimes where none would: good enough to show a tool, never to run it.
 */
export function bestCase(release: Release, asked: PartyQuery, found: PartyEvaluation): PartyEvaluation {
  const { outcome } = found
  if ('kind' in outcome) return found
  if (isRuledOut(release, asked)) return { ...found, outcome: NOTHING }
  const matching = matchingPolicies(release, asked)
  const open = new Set(matching.filter(readsInput).map(({ id }) => id))
  const permits = matching.filter(({ effect }) => effect === 'permit')
  // With a satisfied forbid the engine does not list permits: each that matches could be one.
  const hidesPermits = outcome.satisfied.some((id) => release.find(id)?.effect === 'forbid')
  const settled = hidesPermits ? permits.map(({ id }) => id) : outcome.satisfied
  return { ...found, outcome: favourable(outcome, settled, permits, open, release) }
}

const INPUT = new Set(['input'])
const NOTHING: Evaluation = { satisfied: [], errored: [] }

/** Whether no arguments could be allowed, as far as the conditions tell (compiled/partial.ts). */
function isRuledOut(release: Release, { query }: PartyQuery): boolean {
  try {
    return residual(release, query, INPUT) === 'deny'
  } catch {
    // What can't be taken apart is not ruled out; the call itself is decided when it comes.
    return false
  }
}

function favourable(
  { satisfied, errored }: Evaluation,
  settled: readonly string[],
  permits: readonly PolicyRecord[],
  open: ReadonlySet<string>,
  release: Release,
): Evaluation {
  const standing = (id: string): boolean => !open.has(id)
  const forbids = satisfied.filter((id) => release.find(id)?.effect === 'forbid' && standing(id))
  if (forbids.length > 0) return { satisfied: forbids, errored: errored.filter(standing) }
  const sure = settled.filter((id) => release.find(id)?.effect === 'permit' && standing(id))
  const possible = permits.map(({ id }) => id).filter((id) => open.has(id))
  return { satisfied: sure.length > 0 ? sure : possible, errored: errored.filter(standing) }
}

function matchingPolicies(release: Release, { query }: PartyQuery): readonly PolicyRecord[] {
  const ordinals = release.matching({
    principal: query.principal,
    principalAncestors: query.entity(query.principal)?.ancestors ?? [],
    action: query.action,
    actionAncestors: query.actionAncestors,
    resource: query.resource,
    resourceAncestors: query.entity(query.resource)?.ancestors ?? [],
  })
  return ordinals.map((ordinal) => release.policy(ordinal))
}

function readsInput({ reads: { all, context } }: PolicyRecord): boolean {
  return all || context?.whole === true || (context !== undefined && Object.hasOwn(context.attrs, 'input'))
}
