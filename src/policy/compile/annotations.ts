import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { ObligationTemplate, PolicyRecord } from '#model/release.ts'
import { parseObligationAnnotation } from '#policy/obligation-catalogue.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import type { PolicySource } from './split-policies.ts'

/** What the annotations of a policy say. */
export interface Annotated {
  readonly id: string | undefined
  readonly obligations: readonly ObligationTemplate[]
  readonly advice: string | undefined
  readonly reason: string | undefined
  readonly diagnostics: readonly Diagnostic[]
}

/** Ids of shipped guardrails begin so, and no other policy's. */
export const GUARDRAIL_PREFIX = 'warder.'

const KNOWN = ['id', 'obligation', 'reason', 'advice'] as const
const ID = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/
const TEXT_CHARACTERS_MAX = 500

const ID_MISSING: Finding = {
  code: 'policy.id_missing',
  message: 'the policy has no `@id`',
  help: 'write `@id("a-name")` before `permit` or `forbid`; decisions and logs name the policy by it',
}
const ID_INVALID: Finding = {
  code: 'policy.id_invalid',
  message:
    'the `@id` must be 1 to 128 of the characters `A-Z a-z 0-9 . _ : / -` and begin with a letter or digit',
}

/** Reads `@id`, `@obligation`, `@reason` and `@advice`; findings point at the annotation. */
export function readAnnotations(
  source: PolicySource,
  json: PolicyJson,
  origin: PolicyRecord['origin'],
): Annotated {
  const values = new Map(Object.entries(json.annotations ?? {}))
  const id = values.get('id') ?? undefined
  const isValidId = id !== undefined && ID.test(id)
  const diagnostics: Diagnostic[] = []
  const report = (annotation: string, finding: Finding) => {
    const at = source.annotations.get(annotation) ?? source.head
    diagnostics.push(diagnosticAt(source.file, at, { ...finding, policy: isValidId ? id : undefined }))
  }
  checkId(id, isValidId, values.has('id'), origin, report)
  for (const name of values.keys())
    if (!KNOWN.some((known) => known === name))
      report(name, {
        severity: 'warning',
        code: 'policy.annotation_unknown',
        message: `the annotation \`@${name}\` has no effect`,
        help: `known annotations are ${KNOWN.map((known) => `@${known}`).join(', ')}`,
      })
  return {
    id: isValidId ? id : undefined,
    obligations: obligations(values, report),
    advice: plainText(values, 'advice', report),
    reason: plainText(values, 'reason', report),
    diagnostics,
  }
}

type Report = (annotation: string, finding: Finding) => void

function checkId(
  id: string | undefined,
  isValid: boolean,
  isPresent: boolean,
  origin: PolicyRecord['origin'],
  report: Report,
): void {
  if (id === undefined || !isValid) {
    report('id', isPresent ? ID_INVALID : ID_MISSING)
    return
  }
  if (origin === 'tenant' && id.startsWith(GUARDRAIL_PREFIX))
    report('id', {
      code: 'policy.id_reserved',
      message: `ids that begin with \`${GUARDRAIL_PREFIX}\` belong to shipped guardrails`,
    })
  if (origin === 'guardrail' && !id.startsWith(GUARDRAIL_PREFIX))
    report('id', {
      code: 'policy.guardrail_id',
      message: `the \`@id\` of a guardrail must begin with \`${GUARDRAIL_PREFIX}\``,
    })
}

function obligations(
  values: ReadonlyMap<string, string | null>,
  report: Report,
): readonly ObligationTemplate[] {
  const value = values.get('obligation')
  if (value === undefined) return []
  const parsed = parseObligationAnnotation(value ?? '')
  if (parsed.ok) return parsed.value
  report('obligation', { code: 'policy.obligation_invalid', message: parsed.failure })
  return []
}

function plainText(
  values: ReadonlyMap<string, string | null>,
  name: 'advice' | 'reason',
  report: Report,
): string | undefined {
  const value = values.get(name)
  if (value === undefined) return undefined
  if (value !== null && value.length >= 1 && value.length <= TEXT_CHARACTERS_MAX && !/\p{Cc}/u.test(value))
    return value
  report(name, {
    code: 'policy.annotation_invalid',
    message: `\`@${name}\` must be a text of 1 to ${TEXT_CHARACTERS_MAX} characters without line breaks`,
  })
  return undefined
}
