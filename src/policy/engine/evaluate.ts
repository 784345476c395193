import type { Response, StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'
import type { PolicyRecord, Release } from '#model/release.ts'
import type { EngineFault, Evaluate, Evaluation, Query } from '#policy/port.ts'
import { uidJson } from './cedar-json.ts'
import type { Engine } from './engine.ts'
import { createMemo, type Memo } from './memo.ts'
import { project } from './project.ts'
import type { ReadPlan } from './read-plan.ts'
import { createSlots, type Slots } from './slots.ts'

/** More matching policies than this are refused: preparing them would hold the event loop for a fifth of a second. */
const POLICIES_MAX = 2_000

const NOTHING_MATCHES: Evaluation = { satisfied: [], errored: [] }

/**
 * Makes the evaluator that works with cedar-wasm: the exactly matching policies, and only what they can read.
 *
 * The schema is not on the call: it was used at publish, and the projection writes every reference explicitly.
 * Pure Cedar semantics: an erroring forbid is only listed in `errored`; denying it is the caller's part.
 */
export function createEvaluate(
  engine: Engine,
  memo: Memo = createMemo(),
  slots: Slots = createSlots(engine),
): Evaluate {
  const parts = { engine, memo, slots }
  return (release, queries) => queries.map((query) => evaluateSafely(parts, release, query))
}

interface Parts {
  readonly engine: Engine
  readonly memo: Memo
  readonly slots: Slots
}

// INVARIANT: nothing thrown leaves; whatever goes wrong is a fault, and the caller denies faults.
function evaluateSafely(parts: Parts, release: Release, query: Query): Evaluation | EngineFault {
  try {
    return evaluateOne(parts, release, query)
  } catch (error) {
    return { kind: 'engine', detail: error instanceof Error ? error.message : 'unknown fault' }
  }
}

function evaluateOne(
  { engine, memo, slots }: Parts,
  release: Release,
  query: Query,
): Evaluation | EngineFault {
  const ordinals = release.matching({
    principal: query.principal,
    principalAncestors: query.entity(query.principal)?.ancestors ?? [],
    action: query.action,
    actionAncestors: query.actionAncestors,
    resource: query.resource,
    resourceAncestors: query.entity(query.resource)?.ancestors ?? [],
  })
  if (ordinals.length === 0) return NOTHING_MATCHES
  if (ordinals.length > POLICIES_MAX) {
    return { kind: 'limit', detail: `more than ${POLICIES_MAX} policies match` }
  }
  const slot = slots.acquire(release, ordinals)
  if ('kind' in slot) return { kind: slot.kind, detail: slot.detail }
  const call = callOf(slot.plan, query)
  if ('kind' in call) return call
  // Not the slot's name: the same name holds other policies later. The key of a slot has no line break.
  const key = `${slot.key}\n${JSON.stringify(call)}`
  const known = memo.find(key)
  if (known !== undefined) return known
  const answer = engine.authorize({ ...call, preparsedPolicySetId: slot.name })
  if ('kind' in answer) {
    if (answer.trapped) slots.trapped(slot.key)
    return { kind: answer.kind, detail: answer.detail }
  }
  const evaluation = evaluationOf(answer, slot.effects)
  if (!('kind' in evaluation)) memo.offer(key, evaluation)
  return evaluation
}

/** A query as the engine takes it, but for the policies that it is about. */
export type EngineCall = Omit<StatefulAuthorizationCall, 'preparsedPolicySetId'>

/**
 * What of a query the policies of a slice can read, as a call.
 *
 * @throws TypeError for a value that the engine's JSON can not carry
 */
export function callOf(plan: ReadPlan, query: Query): EngineCall | EngineFault {
  const projection = project(plan, query)
  if ('kind' in projection) return projection
  return {
    principal: uidJson(query.principal),
    action: uidJson(query.action),
    resource: uidJson(query.resource),
    context: projection.context,
    entities: projection.entities,
  }
}

/** Reads the engine's answer. The order of its lists changes from call to call, so both are sorted. */
export function evaluationOf(
  answer: Response,
  effects: ReadonlyMap<string, PolicyRecord['effect']>,
): Evaluation | EngineFault {
  const satisfied = answer.diagnostics.reason.toSorted(byText)
  const errored = answer.diagnostics.errors.map((each) => each.policyId).toSorted(byText)
  const effect = answer.decision === 'allow' ? 'permit' : 'forbid'
  // INVARIANT: the decision follows from the ids alone, so that whoever combines them can not come to another one.
  const consistent =
    satisfied.every((id) => effects.get(id) === effect) &&
    errored.every((id) => effects.has(id)) &&
    (effect === 'forbid' || satisfied.length > 0)
  return consistent
    ? { satisfied, errored }
    : { kind: 'engine', detail: 'the answer does not fit the policies that were asked' }
}

/** By UTF-16 code unit, the same on every machine. */
function byText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
