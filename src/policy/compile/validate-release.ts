import type { DetailedError, ValidationError } from '@cedar-policy/cedar-wasm/nodejs'
import { type Diagnostic, type DiagnosticCode, diagnosticAt, utf16Index } from './diagnostic.ts'
import { callEngine, EngineFailure, helpOf } from './engine.ts'
import type { PolicySource } from './split-policies.ts'

/** A policy with its id, ready for the engine. */
export interface NamedPolicy {
  readonly id: string
  readonly source: PolicySource
}

/**
 * Validates one batch of policies strictly. The validator's warnings that mean "this can never work" or "this looks
 * like something else" are errors: such a policy must not be published.
 * @throws EngineFailure
 */
export function validateBatch(batch: readonly NamedPolicy[], schema: string): readonly Diagnostic[] {
  const staticPolicies = Object.fromEntries(batch.map(({ id, source }) => [id, source.text]))
  const answer = callEngine((engine) =>
    engine.validate({ schema, policies: { staticPolicies }, validationSettings: { mode: 'strict' } }),
  )
  // Schema and policies were parsed before, each on its own.
  if (answer.type === 'failure')
    throw new EngineFailure(answer.errors.map((error) => error.message).join('; '))
  const byId = new Map(batch.map((policy) => [policy.id, policy.source]))
  const failing = new Set(answer.validationErrors.map((found) => found.policyId))
  const unreachable = new Set(
    answer.validationWarnings
      .filter((found) => codeOf(found.error) === 'policy.no_applicable_action')
      .map((found) => found.policyId),
  )
  const errors = answer.validationErrors.map((found) => diagnosticOf(found, 'policy.validation', byId))
  const warnings = answer.validationWarnings
    // A policy with an error is also "impossible"; saying so would only hide the cause.
    .filter((found) =>
      isNews(codeOf(found.error), failing.has(found.policyId), unreachable.has(found.policyId)),
    )
    .map((found) => diagnosticOf(found, codeOf(found.error), byId))
  return [...errors, ...warnings]
}

function codeOf(warning: DetailedError): DiagnosticCode {
  if (/policy is impossible/.test(warning.message)) return 'policy.impossible'
  if (/unable to find an applicable action/.test(warning.message)) return 'policy.no_applicable_action'
  return 'policy.confusable'
}

/** Mixed scripts are common in texts of people; in an identifier they pass for somebody else. */
function isMixedText(error: DetailedError): boolean {
  return /^(for policy `[^`]*`, )?string `/.test(error.message) && /mixed scripts$/.test(error.message)
}

function isNews(code: DiagnosticCode, isFailing: boolean, isUnreachable: boolean): boolean {
  if (code === 'policy.impossible') return !isFailing && !isUnreachable
  return code !== 'policy.no_applicable_action' || !isFailing
}

function diagnosticOf(
  found: ValidationError,
  code: DiagnosticCode,
  byId: ReadonlyMap<string, PolicySource>,
): Diagnostic {
  const source = byId.get(found.policyId)
  if (source === undefined)
    throw new EngineFailure(`the engine named an unknown policy: ${found.error.message}`)
  const start = found.error.sourceLocations?.[0]?.start ?? 0
  // The engine points at the start of the text for the policy as a whole; the author looks for the policy itself.
  const at = Math.max(source.head, source.start + utf16Index(source.text, start))
  return diagnosticAt(source.file, at, {
    severity: isMixedText(found.error) ? 'warning' : 'error',
    code,
    message: found.error.message.replace(/^for policy `[^`]*`, /, ''),
    help: helpOf(found.error),
    policy: found.policyId,
  })
}
