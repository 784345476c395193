import type { SchemaModel } from '#model/release.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import { mayFail } from './may-fail.ts'
import type { CompiledPolicy } from './policy-record.ts'

/**
 * Refuses guardrails that are not a forbid or whose condition could fail at run time although it validates: Cedar
 * skips a policy that fails. Optional attributes read without `has` are found by validation.
 */
export function lintGuardrail(policy: CompiledPolicy, schema: SchemaModel): readonly Diagnostic[] {
  const findings: Finding[] = []
  if (policy.json.effect !== 'forbid')
    findings.push({ code: 'policy.guardrail_effect', message: 'a guardrail can only forbid' })
  for (const problem of mayFail(policy, schema))
    findings.push({ code: 'policy.guardrail_may_error', ...problem })
  return findings.map((finding) =>
    diagnosticAt(policy.source.file, policy.source.head, { ...finding, policy: policy.record?.id }),
  )
}
