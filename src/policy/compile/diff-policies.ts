import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { failed, type Result, success } from '#lib/result.ts'
import { unifiedDiff } from '#lib/unified-diff.ts'
import type { SourceFile } from '#model/release.ts'
import { checkText } from './check-text.ts'
import { type Diagnostic, diagnosticAt } from './diagnostic.ts'
import { diffSchema, type SchemaChange } from './diff-schema.ts'
import { EngineFailure } from './engine.ts'
import { compilePolicy } from './policy-record.ts'
import { expressionText, scopeText } from './policy-text.ts'
import { compareText } from './release-id.ts'
import { splitPolicies } from './split-policies.ts'

/** What a policy says, without comments and layout. */
export interface PolicyFacts {
  readonly effect: 'permit' | 'forbid'
  readonly scope: string
  /** `when` and `unless` clauses in their order. */
  readonly conditions: readonly string[]
  /** Without `@id`. */
  readonly annotations: { readonly [name: string]: string | null }
}

/** A part of a policy that can change. */
export type PolicyAspect = keyof PolicyFacts

/** A policy that both sides have and that does not say the same. */
export interface ChangedPolicy {
  readonly id: string
  readonly aspects: readonly PolicyAspect[]
  readonly before: PolicyFacts
  readonly after: PolicyFacts
  /** Unified diff of the two source texts. */
  readonly text: readonly string[]
}

/** What differs between the files of two releases or folders. Tests and shipped guardrails are not compared. */
export interface PolicyDiff {
  readonly same: boolean
  readonly added: readonly ({ readonly id: string } & PolicyFacts)[]
  readonly removed: readonly ({ readonly id: string } & PolicyFacts)[]
  readonly changed: readonly ChangedPolicy[]
  readonly schema: readonly SchemaChange[]
}

interface ReadPolicy {
  readonly facts: PolicyFacts
  readonly text: string
}

/** Compares by policy id and by meaning: a policy that only moved or got another layout is the same. */
export function diffPolicies(
  before: readonly SourceFile[],
  after: readonly SourceFile[],
): Result<PolicyDiff, readonly Diagnostic[]> {
  const [old, fresh] = [readFiles(before), readFiles(after)]
  const problems = [...old.diagnostics, ...fresh.diagnostics]
  if (problems.length > 0) return failed(problems)
  const only = (here: typeof old, there: typeof old) =>
    here.policies
      .filter(([id]) => there.byId.get(id) === undefined)
      .map(([id, { facts }]) => ({ id, ...facts }))
  const changed = old.policies.flatMap(([id, policy]) => {
    const other = fresh.byId.get(id)
    return other === undefined ? [] : changesOf(id, policy, other)
  })
  const [added, removed] = [only(fresh, old), only(old, fresh)]
  const schema = diffSchema(schemaFiles(before), schemaFiles(after))
  const same = [added, removed, changed, schema].every((list) => list.length === 0)
  return success({ same, added, removed, changed, schema })
}

function changesOf(id: string, before: ReadPolicy, after: ReadPolicy): readonly ChangedPolicy[] {
  const aspects = (['effect', 'scope', 'conditions', 'annotations'] as const).filter(
    (aspect) => JSON.stringify(before.facts[aspect]) !== JSON.stringify(after.facts[aspect]),
  )
  if (aspects.length === 0) return []
  const text = unifiedDiff(before.text, after.text)
  return [{ id, aspects, before: before.facts, after: after.facts, text }]
}

function readFiles(files: readonly SourceFile[]) {
  const diagnostics: Diagnostic[] = []
  const byId = new Map<string, ReadPolicy>()
  for (const file of files.filter(({ name }) => name.endsWith('.cedar'))) {
    try {
      diagnostics.push(...readFile(file, byId))
    } catch (fault) {
      if (!(fault instanceof EngineFailure)) throw fault
      diagnostics.push(diagnosticAt(file, 0, { code: 'policy.engine_failure', message: fault.message }))
    }
  }
  return { byId, policies: [...byId].toSorted(([a], [b]) => compareText(a, b)), diagnostics }
}

function readFile(file: SourceFile, byId: Map<string, ReadPolicy>): readonly Diagnostic[] {
  const guarded = checkText(file, 'policy')
  if (guarded.length > 0) return guarded
  const { policies, diagnostics } = splitPolicies(file)
  const errors = [...diagnostics]
  for (const source of policies) {
    const policy = compilePolicy(source, 'tenant')
    const found = 'source' in policy ? policy.diagnostics : policy
    errors.push(...found.filter(({ severity }) => severity === 'error'))
    if (!('source' in policy) || policy.id === undefined) continue
    if (byId.has(policy.id))
      errors.push(
        diagnosticAt(file, source.head, {
          code: 'policy.id_duplicate',
          message: `the \`@id\` \`${policy.id}\` is used twice`,
          policy: policy.id,
        }),
      )
    byId.set(policy.id, { facts: factsOf(policy.json), text: source.text })
  }
  return errors
}

function factsOf(json: PolicyJson): PolicyFacts {
  const annotations = Object.entries(json.annotations ?? {})
    .filter(([name]) => name !== 'id')
    .map(([name, value]) => [name, value ?? null] as const)
    .toSorted(([a], [b]) => compareText(a, b))
  return {
    effect: json.effect,
    scope: scopeText(json),
    conditions: json.conditions.map(({ kind, body }) => `${kind} { ${expressionText(body)} }`),
    annotations: Object.fromEntries(annotations),
  }
}

function schemaFiles(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter(({ name }) => name.endsWith('.cedarschema'))
}
