import type {
  ActionConstraint,
  Expr,
  PolicyJson,
  PrincipalConstraint,
  ResourceConstraint,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { ActionScope, EntityScope, PolicyRecord } from '#model/release.ts'
import type { EntityUid } from '#model/value.ts'
import { conditionsText } from '#policy/compiled/conditions.ts'
import { type Annotated, readAnnotations } from './annotations.ts'
import { type Diagnostic, diagnosticAt, type Finding, lineNumber, utf16Index } from './diagnostic.ts'
import { callEngine, flattenErrors, helpOf } from './engine.ts'
import { readsOf } from './reads.ts'
import type { PolicySource } from './split-policies.ts'

/** A policy as the engine understood it. */
export interface CompiledPolicy {
  readonly source: PolicySource
  /** A valid `@id`, where it has one. */
  readonly id: string | undefined
  readonly json: PolicyJson
  /** Undefined where the policy has errors. */
  readonly record: PolicyRecord | undefined
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Parses one policy and works out everything that a release keeps of it. Its text must have passed the guard.
 * @throws EngineFailure
 */
export function compilePolicy(
  source: PolicySource,
  origin: PolicyRecord['origin'],
): CompiledPolicy | readonly Diagnostic[] {
  const answer = callEngine((engine) => engine.policyToJson(source.text))
  if (answer.type === 'failure')
    return flattenErrors(answer.errors).map((error) => {
      const start = error.sourceLocations?.[0]?.start
      const at = start === undefined ? source.head : source.start + utf16Index(source.text, start)
      return diagnosticAt(source.file, at, {
        code: /template/.test(error.message) ? 'policy.template' : 'policy.syntax',
        message: error.message.replace(/^failed to parse policy from string: /, ''),
        help: helpOf(error),
      })
    })
  const json = answer.json
  const annotated = readAnnotations(source, json, origin)
  const scope = {
    principal: entityScope(json.principal),
    action: actionScope(json.action),
    resource: entityScope(json.resource),
  }
  const diagnostics = [...annotated.diagnostics, ...lint(source, json, scope, annotated, origin)]
  const failing = diagnostics.some((diagnostic) => diagnostic.severity === 'error')
  return {
    source,
    id: annotated.id,
    json,
    diagnostics,
    record: failing ? undefined : recordOf(source, json, origin, scope, annotated),
  }
}

/** Every expression of a policy, each before its operands. */
export function* expressionsOf(policy: PolicyJson): Generator<Expr> {
  const queue: unknown[] = policy.conditions.map((clause) => clause.body)
  while (queue.length > 0) {
    const next = queue.pop()
    if (typeof next !== 'object' || next === null) continue
    if (!Array.isArray(next)) yield next as Expr
    queue.push(...Object.values(next))
  }
}

/** All entities that the scope and the conditions of a policy name. */
export function* entitiesOf(policy: PolicyJson): Generator<EntityUid> {
  const action = actionScope(policy.action)
  if (action.op === '==') yield action.entity
  if (action.op === 'in') yield* action.entities
  for (const constraint of [policy.principal, policy.resource]) {
    const scope = entityScope(constraint)
    if ('entity' in scope) yield scope.entity
  }
  for (const expression of expressionsOf(policy)) if (isUid(expression)) yield uidOf(expression)
}

/** A record literal may have an attribute of that name too; its value is an expression and has no type and id. */
function isUid(expression: object): boolean {
  const inner = '__entity' in expression ? expression.__entity : undefined
  return typeof inner === 'object' && inner !== null && 'type' in inner && typeof inner.type === 'string'
}

function recordOf(
  source: PolicySource,
  json: PolicyJson,
  origin: PolicyRecord['origin'],
  scope: PolicyRecord['scope'],
  annotated: Annotated,
): PolicyRecord {
  const { reads, testsAutonomous } = readsOf(json)
  return {
    id: annotated.id ?? '',
    effect: json.effect,
    origin,
    file: source.file.name,
    line: lineNumber(source.file, source.head),
    text: source.text,
    conditions: conditionsText(source.text, json),
    scope,
    reads,
    testsAutonomous,
    obligations: annotated.obligations,
    advice: annotated.advice,
    reason: annotated.reason,
  }
}

function lint(
  source: PolicySource,
  json: PolicyJson,
  scope: PolicyRecord['scope'],
  annotated: Annotated,
  origin: PolicyRecord['origin'],
): readonly Diagnostic[] {
  const findings: Finding[] = []
  for (const expression of expressionsOf(json))
    if ('unknown' in expression && Array.isArray(expression['unknown']))
      findings.push({
        code: 'policy.unknown_call',
        message: '`unknown()` is not allowed: a policy that calls it never takes effect',
      })
  const isBroad = [scope.principal, scope.action, scope.resource].every(({ op }) => op === 'all')
  if (isBroad && origin === 'tenant')
    findings.push({
      severity: 'warning',
      code: 'policy.unscoped',
      message: 'the policy has no scope, so it is evaluated for every request',
      help: 'name the principal, action or resource in the scope where the conditions test for them anyway',
    })
  return findings.map((finding) =>
    diagnosticAt(source.file, source.head, { ...finding, policy: annotated.id }),
  )
}

function entityScope(constraint: PrincipalConstraint | ResourceConstraint): EntityScope {
  if (constraint.op === 'All') return { op: 'all' }
  if (constraint.op === 'is') {
    const type = constraint.entity_type
    if (constraint.in === undefined) return { op: 'is', type }
    return { op: 'is-in', type, entity: entityIn(constraint.in) }
  }
  return { op: constraint.op, entity: entityIn(constraint) }
}

function actionScope(constraint: ActionConstraint): ActionScope {
  if (constraint.op === 'All') return { op: 'all' }
  if (constraint.op === '==') return { op: '==', entity: entityIn(constraint) }
  if ('entities' in constraint) return { op: 'in', entities: constraint.entities.map(uidOf) }
  return { op: 'in', entities: [uidOf(constraint.entity)] }
}

function entityIn(constraint: object): EntityUid {
  // Slots cannot occur: the engine refuses a template where a policy is expected.
  if (!('entity' in constraint)) throw new TypeError('a scope without an entity')
  return uidOf(constraint.entity)
}

function uidOf(json: unknown): EntityUid {
  const inner = typeof json === 'object' && json !== null && '__entity' in json ? json.__entity : json
  const { type, id } = inner as EntityUid
  if (typeof type !== 'string' || typeof id !== 'string') throw new TypeError('not an entity')
  return { type, id }
}
