import type { ActionScope, PolicyRecord } from '#model/release.ts'
import { type EntityUid, uidKey } from '#model/value.ts'
import type { LintRuleId } from './lint-rules.ts'
import type { CompiledPolicy } from './policy-record.ts'
import { coversScope, type GroupsOf } from './scope-cover.ts'

/** A policy that another one makes superfluous. */
export interface Overlap {
  readonly policy: Rule
  readonly rule: LintRuleId
  readonly by: Rule
}

/** A compiled policy without errors. */
export type Rule = CompiledPolicy & { readonly record: PolicyRecord }

/** Policies that say the same as another one, or that a wider one without conditions covers. */
export function findOverlaps(policies: readonly Rule[], groupsOf: GroupsOf): readonly Overlap[] {
  const same = new Map<string, Rule>()
  const forbidden = new Map<string, Rule>()
  for (const policy of policies) if (policy.json.effect === 'forbid') forbidden.set(meaningOf(policy), policy)
  const wide = new WideRules(policies.filter((policy) => isUnconditional(policy)))
  return policies.flatMap((policy): readonly Overlap[] => {
    const key = `${policy.json.effect} ${meaningOf(policy)}`
    const twin = same.get(key)
    if (twin !== undefined) return [{ policy, rule: 'lint.duplicate', by: twin }]
    same.set(key, policy)
    const candidates = wide.of(policy, groupsOf)
    if (policy.json.effect === 'permit') {
      const by = forbidden.get(meaningOf(policy)) ?? candidates.find(({ json }) => json.effect === 'forbid')
      if (by !== undefined) return [{ policy, rule: 'lint.unreachable', by }]
    }
    const by = candidates.find((other) => isRedundant(policy, other))
    return by === undefined ? [] : [{ policy, rule: 'lint.shadowed', by }]
  })
}

/** Whether `policy` adds nothing to `wider`, which matches whatever it matches. */
function isRedundant({ json, record }: Rule, wider: Rule): boolean {
  if (json.effect !== wider.json.effect) return false
  // An obligation, an advice or a reason of its own is given in addition; a test of `autonomous` makes a permit count alone.
  const isPlain =
    record.obligations.length === 0 && record.advice === undefined && record.reason === undefined
  return isPlain && !(json.effect === 'permit' && record.testsAutonomous)
}

/** Policies without conditions, found by what their action scope names. */
class WideRules {
  readonly #byAction = new Map<string, Rule[]>()

  constructor(policies: readonly Rule[]) {
    for (const policy of policies) {
      for (const key of keysOf(policy.record.scope.action)) {
        const known = this.#byAction.get(key)
        if (known === undefined) this.#byAction.set(key, [policy])
        else known.push(policy)
      }
    }
  }

  /** Those whose scope covers that of `policy`, without itself and its twins. */
  of(policy: Rule, groupsOf: GroupsOf): readonly Rule[] {
    const { scope } = policy.record
    const [first] = actionsOf(scope.action)
    const keys = [ANY, ...(first === undefined ? [] : [first, ...groupsOf(first)].map(uidKey))]
    const own = meaningOf(policy)
    return keys
      .flatMap((key) => this.#byAction.get(key) ?? [])
      .filter((wide) => meaningOf(wide) !== own && coversScope(wide.record.scope, scope, groupsOf))
  }
}

const ANY = ''

function keysOf(scope: ActionScope): readonly string[] {
  return scope.op === 'all' ? [ANY] : actionsOf(scope).map(uidKey)
}

function actionsOf(scope: ActionScope): readonly EntityUid[] {
  if (scope.op === 'all') return []
  return scope.op === '==' ? [scope.entity] : scope.entities
}

function isUnconditional({ json }: Rule): boolean {
  return json.conditions.length === 0
}

const MEANINGS = new WeakMap<Rule, string>()

/** Scope and conditions; equal texts match the same requests. */
function meaningOf(policy: Rule): string {
  const known = MEANINGS.get(policy)
  if (known !== undefined) return known
  const { principal, action, resource, conditions } = policy.json
  const meaning = JSON.stringify([principal, action, resource, conditions])
  MEANINGS.set(policy, meaning)
  return meaning
}
