import type { SchemaModel, Vocabulary } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey } from '#model/value.ts'
import { type Diagnostic, diagnosticAt, type Finding, lineNumber } from './diagnostic.ts'
import { findOverlaps, type Overlap, type Rule } from './lint-overlap.ts'
import { LINT_RULES, type LintRuleId } from './lint-rules.ts'
import { mayFail, operationsThatMayFail } from './may-fail.ts'
import type { CompiledPolicy } from './policy-record.ts'
import type { GroupsOf } from './scope-cover.ts'
import { unguardedReads } from './unguarded.ts'

/** What the rules need to know beside the policies. */
export interface LintContext {
  readonly vocabulary: Vocabulary
  /** Undefined where the policies were not validated. */
  readonly schema: SchemaModel | undefined
}

/** Obligations that make sense although the call is not made. */
const ON_FORBID = ['step_up', 'human_approval', 'audit', 'notify']
const IDENTITY = ['agent', 'user', 'token', 'delegation', 'autonomous']
const CALL_TOOL: EntityUid = { type: 'Warder::Action', id: 'callTool' }

/** Warnings about a tenant's policies that are valid and still probably not what their author wants (docs/lint.md). */
export function lintRelease(
  policies: readonly CompiledPolicy[],
  context: LintContext,
): readonly Diagnostic[] {
  const rules = policies.filter(isRule)
  return [
    ...rules.flatMap((policy) => lintPolicy(policy, context).map((finding) => place(policy, finding))),
    ...findOverlaps(rules, groupsOf(context.schema)).map(overlapping),
  ]
}

function isRule(policy: CompiledPolicy): policy is Rule {
  return policy.record !== undefined
}

function place({ source, id }: Rule, finding: Finding): Diagnostic {
  return diagnosticAt(source.file, source.head, { severity: 'warning', policy: id, ...finding })
}

function lintPolicy(policy: Rule, context: LintContext): readonly Finding[] {
  return policy.json.effect === 'forbid' ? lintForbid(policy, context) : lintPermit(policy, context)
}

function lintForbid(policy: Rule, { schema }: LintContext): readonly Finding[] {
  const { json, record } = policy
  const failing =
    schema === undefined
      ? [...operationsThatMayFail(policy), ...unguardedReads(json)]
      : mayFail(policy, schema)
  const findings: Finding[] = failing.map(({ message, help }) =>
    found('lint.forbid_may_error', message, help),
  )
  if (record.reason === undefined)
    findings.push(found('lint.forbid_without_reason', 'the forbid does not say why'))
  for (const { type } of record.obligations)
    if (!ON_FORBID.includes(type))
      findings.push(found('lint.forbid_obligation', `\`${type}\` has no effect on a call that is not made`))
  return findings
}

function lintPermit({ record }: Rule, { vocabulary }: LintContext): readonly Finding[] {
  if (vocabulary !== 'warder') return []
  const { reads, scope } = record
  const context = Object.keys(reads.context?.attrs ?? {})
  const findings: Finding[] = []
  if (context.includes('claimed'))
    findings.push(
      found(
        'lint.permit_on_declared',
        'the permit depends on `context.claimed`, what the agent says about itself',
      ),
    )
  if (readsDepth(reads))
    findings.push(
      found(
        'lint.permit_on_prior_actors',
        'the permit depends on `context.delegation.depth`, how many acted before',
      ),
    )
  const namesNobody = scope.principal.op === 'all' || scope.principal.op === 'is'
  const readsIdentity = reads.principal !== undefined || context.some((name) => IDENTITY.includes(name))
  if (!reads.all && namesNobody && !readsIdentity && scope.action.op !== '==')
    findings.push(found('lint.permit_anyone', 'the permit says nothing about who may call these tools'))
  return findings
}

function readsDepth({ context }: Rule['record']['reads']): boolean {
  const delegation = context?.attrs['delegation']
  return delegation?.attrs['depth'] !== undefined
}

function found(code: LintRuleId, message: string, help: string = LINT_RULES[code].instead): Finding {
  return { code, message, help }
}

const RELATION = {
  'lint.duplicate': (id: string) => `the policy says the same as \`${id}\``,
  'lint.shadowed': (id: string) =>
    `the policy adds nothing to \`${id}\`, which has a wider scope and no conditions`,
  'lint.unreachable': (id: string) => `the permit never takes effect: \`${id}\` forbids all that it allows`,
}

function overlapping({ policy, rule, by }: Overlap): Diagnostic {
  const { file, head } = by.source
  const relation = RELATION[rule as keyof typeof RELATION]
  const help = `\`${by.id}\` is in ${file.name}, line ${lineNumber(file, head)}`
  return place(policy, found(rule, relation(by.id ?? ''), help))
}

/** What the schema says; and every tool is in `callTool`, wherever the registry puts it. */
function groupsOf(schema: SchemaModel | undefined): GroupsOf {
  const declared = new Map<UidKey, readonly EntityUid[]>(
    (schema?.actions ?? []).map(({ uid, groups }) => [uidKey(uid), groups]),
  )
  return (action) => {
    const groups = declared.get(uidKey(action)) ?? []
    return action.type === CALL_TOOL.type ? [...groups, CALL_TOOL] : groups
  }
}
