import type { TenantId } from '#model/ids.ts'
import type { PolicyRecord, Release } from '#model/release.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { Evaluate } from '#policy/port.ts'
import type { Difference } from '#policy/shadow/capture.ts'
import { createProvenEngine, type ProvenTenant, type ProvingParts } from '#policy/shadow/proven-engine.ts'
import { startReference } from '#policy/shadow/reference.ts'
import { emptyRegistry } from '#registry/snapshot.ts'
import { createRandom } from '../../support/generate/random.ts'
import { facts, query, releaseOfTexts, uid } from '../../support/policy-records.ts'

/** The authority, one for a test file. */
export const reference = createEvaluate(createEngine())

/** The same authority beside the hot path, in its thread. */
export const { ask: checker } = startReference()

/** The compiled evaluator as it is. */
export const compiled = createCompiledEvaluate(reference)

/** The compiled evaluator with one thing wrong: it reads other texts than the ones that were written. */
export function misreading(pattern: RegExp, replacement: string): Evaluate {
  const wrong = createCompiledEvaluate(reference)
  return (release, queries) => {
    const policy = (ordinal: number): PolicyRecord => {
      const { conditions: _parsed, ...record } = release.policy(ordinal)
      return { ...record, text: record.text.replaceAll(pattern, replacement) }
    }
    return wrong({ ...release, policy }, queries)
  }
}

/** Remembers how many queries it was asked. */
export function counting(evaluate: Evaluate): Evaluate & { readonly asked: number } {
  const counted = (...[release, queries]: Parameters<Evaluate>): ReturnType<Evaluate> => {
    counted.asked += queries.length
    return evaluate(release, queries)
  }
  counted.asked = 0
  return counted
}

/** Permits the low risk and forbids the high one. */
export const POLICIES: readonly string[] = [
  '@id("low")\npermit(principal is A, action, resource) when { context.risk <= 50 };',
  '@id("marked")\nforbid(principal, action, resource) when { resource.marked };',
]

/** A question about those policies. */
export function ask(risk: number) {
  const resource = uid('R::"r"')
  return query([facts(resource, { marked: false })], { resource, context: new Map([['risk', risk]]) })
}

/** A tenant that serves `policies`. */
export async function tenantOf(
  name: string,
  policies = POLICIES,
): Promise<ProvenTenant & { readonly release: Release }> {
  return {
    id: name as TenantId,
    registry: emptyRegistry(),
    release: await releaseOfTexts(policies, `${name}: ${policies.join()}`),
  }
}

/** A proving engine around `tenants`, with what it found. */
export function proving(
  tenants: readonly ProvenTenant[] | (() => readonly ProvenTenant[]),
  parts: Partial<ProvingParts> = {},
) {
  const differences: Difference[] = []
  const unproven: string[] = []
  const engine = createProvenEngine({
    compiled,
    reference,
    checker,
    tenants: typeof tenants === 'function' ? tenants : () => tenants,
    onDifference: (difference) => differences.push(difference),
    onUnproven: (_tenant, _release, detail) => unproven.push(detail),
    random: createRandom(7).next,
    share: 1,
    ...parts,
  })
  return { engine, differences, unproven }
}
