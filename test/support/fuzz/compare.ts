import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import type { Release } from '#model/release.ts'
import { type UidKey, uidKey } from '#model/value.ts'
import type { EngineFault, EntityFacts, Evaluation, Query } from '#policy/port.ts'
import { releaseOfTexts } from '../policy-records.ts'
import { type FuzzPolicies, type FuzzRequest, policyText } from './case-set.ts'
import { type CaseEntity, closedFacts, explicitEntities, explicitRecord } from './facts.ts'

/** What the reference says about a request, with the reasons of errors. */
export interface Expected extends Evaluation {
  readonly messages: readonly { readonly policy: string; readonly text: string }[]
}

/** The reference refuses the case itself: its entities or its request do not fit its schema. */
export class Refused extends Error {}

/**
 * The reference: cedar-wasm with all policies and all entities, with schema and request validation where the set has a
 * schema. Nothing of the product is between the case and the engine.
 * @returns the answers for a world, good until the next set is prepared
 * @throws Refused
 */
export function reference(
  set: FuzzPolicies,
): (entities: readonly CaseEntity[]) => (request: FuzzRequest) => Expected {
  const name = 'reference'
  if (set.schema !== undefined) mustSucceed(cedar.preparseSchema(name, set.schema as never))
  const staticPolicies = Object.fromEntries(set.policies.map((policy) => [policy.id, policyText(policy)]))
  mustSucceed(cedar.preparsePolicySet(name, { staticPolicies }))
  return (world) => {
    const entities = explicitEntities(set, world)
    return (request) => {
      const answer = cedar.statefulIsAuthorized({
        principal: request.principal,
        action: request.action,
        resource: request.resource,
        context: explicitRecord(request.context) as never,
        entities: entities as never,
        preparsedPolicySetId: name,
        ...(set.schema !== undefined && { preparsedSchemaName: name, validateRequest: true }),
      })
      if (answer.type === 'failure') throw new Refused(answer.errors[0]?.message)
      const { reason, errors } = answer.response.diagnostics
      return {
        satisfied: sorted(reason),
        errored: sorted(errors.map((each) => each.policyId)),
        messages: errors.map((each) => ({ policy: each.policyId, text: each.error.message })),
      }
    }
  }
}

function mustSucceed(answer: {
  readonly type: string
  readonly errors?: readonly { readonly message: string }[]
}): void {
  if (answer.type !== 'success') throw new Refused(answer.errors?.[0]?.message)
}

function sorted(ids: readonly string[]): readonly string[] {
  return [...ids].sort((a, b) => (a < b ? -1 : 1))
}

let releases = 0

/** The set's policies as a release, compiled and indexed as the server does it. */
export async function releaseOf(set: FuzzPolicies): Promise<Release> {
  releases += 1
  return await releaseOfTexts(set.policies.map(policyText), `sha256:fuzz-${releases}`)
}

/** The queries that the product would ask for requests in a world. */
export function queries(set: FuzzPolicies, entities: readonly CaseEntity[]): (request: FuzzRequest) => Query {
  const facts: ReadonlyMap<UidKey, EntityFacts> = closedFacts([...entities, ...set.actions])
  return ({ principal, action, resource, context }) => ({
    principal,
    action,
    resource,
    actionAncestors: facts.get(uidKey(action))?.ancestors ?? [],
    context,
    entity: (uid) => facts.get(uidKey(uid)),
  })
}

/** What differs, or undefined: satisfied policies, errored ones, and with the effects of these the decision. */
export function difference(
  expected: Evaluation,
  actual: Evaluation | EngineFault | undefined,
): string | undefined {
  const want = JSON.stringify({ satisfied: expected.satisfied, errored: expected.errored })
  const got = JSON.stringify(
    actual !== undefined && 'satisfied' in actual
      ? { satisfied: actual.satisfied, errored: actual.errored }
      : actual,
  )
  return want === got ? undefined : `expected ${want}\n     got ${got}`
}
