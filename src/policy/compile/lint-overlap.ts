import type { ActionScope, EntityScope, PolicyRecord } from '#model/release.ts'
import { type EntityUid, uidKey } from '#model/value.ts'
import type { LintRuleId } from './lint-rules.ts'
import type { CompiledPolicy } from './policy-record.ts'
import { coversScope, type GroupsOf, typeOf } from './scope-cover.ts'

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

/** Policies without conditions, found by what their scope names, so that not each is compared with each. */
class WideRules {
  readonly #byScope = new Map<string, Rule[]>()

  constructor(policies: readonly Rule[]) {
    for (const policy of policies) {
      const { principal, action, resource } = policy.record.scope
      const actions = action.op === 'all' ? [ANY] : actionsOf(action).map(uidKey)
      for (const key of product([nameOf(principal)], actions, [nameOf(resource)])) {
        const known = this.#byScope.get(key)
        if (known === undefined) this.#byScope.set(key, [policy])
        else known.push(policy)
      }
    }
  }

  /** Those whose scope covers that of `policy`, without itself and its twins. */
  of(policy: Rule, groupsOf: GroupsOf): readonly Rule[] {
    const { scope } = policy.record
    const [first] = actionsOf(scope.action)
    const actions = [ANY, ...(first === undefined ? [] : [first, ...groupsOf(first)].map(uidKey))]
    const own = meaningOf(policy)
    return [...product(widerNames(scope.principal), actions, widerNames(scope.resource))]
      .flatMap((key) => this.#byScope.get(key) ?? [])
      .filter((wide) => meaningOf(wide) !== own && coversScope(wide.record.scope, scope, groupsOf))
  }
}

const ANY = ''

/** What a scope names first: an entity, else a type, else nothing. */
function nameOf(scope: EntityScope): string {
  if ('entity' in scope) return uidKey(scope.entity)
  return scope.op === 'is' ? scope.type : ANY
}

/** What a scope that covers this one can name. */
function widerNames(scope: EntityScope): ReadonlySet<string> {
  return new Set([ANY, nameOf(scope), typeOf(scope) ?? ANY])
}

function* product(
  principals: Iterable<string>,
  actions: readonly string[],
  resources: Iterable<string>,
): Generator<string> {
  for (const principal of principals)
    for (const action of actions)
      for (const resource of resources) yield JSON.stringify([principal, action, resource])
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
