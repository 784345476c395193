import type { SourceFile } from '#model/release.ts'
import { LINT_CODES } from './lint-rules.ts'

/** Every diagnostic code of the compiler with what it means. Codes are API: never renamed or reused. */
export const DIAGNOSTIC_CODES = {
  'policy.file_name': 'a file of the folder has a name or an ending that is not known',
  'policy.total_too_large': 'the folder has too many files or too much text',
  'policy.encoding': 'the file is not valid Unicode text',
  'policy.control_character': 'the file contains an invisible or direction-changing character',
  'policy.too_many': 'the release has too many policies',
  'policy.too_large': 'the policy is too large',
  'policy.too_deep': 'the policy is nested too deeply',
  'policy.too_complex': 'the policy has too many operators',
  'policy.syntax': 'the policy can not be parsed',
  'policy.template': 'templates are not supported',
  'policy.unknown_call': 'the policy calls unknown()',
  'policy.id_missing': 'the policy has no @id',
  'policy.id_invalid': 'the @id has a form that is not allowed',
  'policy.id_reserved': 'the @id belongs to shipped guardrails',
  'policy.id_duplicate': 'another policy of the release has the same @id',
  'policy.annotation_unknown': 'the annotation has no meaning here',
  'policy.annotation_invalid': 'the value of the annotation is not allowed',
  'policy.obligation_invalid': 'the obligation is not in the catalogue or its properties are wrong',
  'policy.validation': 'the policy does not fit the schema',
  'policy.no_applicable_action': 'no action of the schema fits the scope of the policy',
  'policy.impossible': 'the policy can never be satisfied',
  'policy.confusable': 'a text of the policy looks like another one',
  'policy.unscoped': 'the policy applies to every request',
  'policy.none': 'the release has no policy',
  'policy.guardrail_effect': 'a guardrail is not a forbid',
  'policy.guardrail_id': 'a guardrail has an @id without the prefix of guardrails',
  'policy.guardrail_may_error': 'the condition of a guardrail could fail',
  'policy.engine_failure': 'the policy engine failed on this input',
  'policy.compile_timeout': 'the release was not compiled in time',
  'policy.compile_crashed': 'the compiler ended unexpectedly',
  'schema.encoding': 'the file is not valid Unicode text',
  'schema.control_character': 'the file contains an invisible or direction-changing character',
  'schema.too_large': 'the schema is too large',
  'schema.too_deep': 'the schema is nested too deeply',
  'schema.syntax': 'the schema can not be parsed',
  'schema.invalid': 'the schema contradicts itself',
  'schema.warder_namespace': 'the schema adds something other than actions to the namespace Warder',
  'schema.context_redeclared': 'the action declares a context attribute that every call already has',
  'schema.context_type': 'the context of the action is not a record',
  'schema.action_group': 'the action is not in the group callTool',
  'schema.missing': 'the release has no schema',
  'test.encoding': 'the file is not valid Unicode text',
  'test.control_character': 'the file contains an invisible or direction-changing character',
  'test.syntax': 'the test file is not valid JSON',
  'test.invalid': 'the test has a field that is wrong or missing',
  'test.failed': 'the test expects another decision',
  ...LINT_CODES,
} as const

/** A stable code of the compiler: `policy.xxx`, `schema.xxx`, `test.xxx` or `lint.xxx`. */
export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES

/** One finding of the compiler, pointing at the author's text. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  readonly code: DiagnosticCode
  readonly message: string
  readonly help?: string
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** 1-based, in UTF-16 code units. */
  readonly column: number
  /** The offending source line, shortened when it is very long. */
  readonly source: string
  /** `@id` of the policy, where it has one. */
  readonly policy?: string
}

/** What a finding says, before it has a place. */
export interface Finding {
  readonly severity?: 'error' | 'warning'
  readonly code: DiagnosticCode
  readonly message: string
  readonly help?: string | undefined
  readonly policy?: string | undefined
}

const SOURCE_CHARACTERS_MAX = 300

/** The diagnostic for `finding` at `offset` (UTF-16 index, clamped) of `file`. Severity `error` unless said otherwise. */
export function diagnosticAt(file: SourceFile, offset: number, finding: Finding): Diagnostic {
  const at = Math.max(0, Math.min(offset, file.text.length))
  const line = lineNumber(file, at)
  const lineStart = lineStarts(file)[line - 1] ?? 0
  const lineEnd = file.text.indexOf('\n', at)
  const source = file.text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).trimEnd()
  return {
    severity: finding.severity ?? 'error',
    code: finding.code,
    message: finding.message,
    ...(finding.help === undefined ? {} : { help: finding.help }),
    file: file.name,
    line,
    column: at - lineStart + 1,
    source: source.slice(0, SOURCE_CHARACTERS_MAX).toWellFormed(),
    ...(finding.policy === undefined ? {} : { policy: finding.policy }),
  }
}

/** 1-based line of the UTF-16 index `offset`. */
export function lineNumber(file: SourceFile, offset: number): number {
  const starts = lineStarts(file)
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low + 1
}

// Ten thousand policies of one file ask for their lines; counting from the top each time would be quadratic.
const STARTS = new WeakMap<SourceFile, readonly number[]>()

function lineStarts(file: SourceFile): readonly number[] {
  const known = STARTS.get(file)
  if (known !== undefined) return known
  const starts = [0]
  for (let i = file.text.indexOf('\n'); i !== -1; i = file.text.indexOf('\n', i + 1)) starts.push(i + 1)
  STARTS.set(file, starts)
  return starts
}

/** Converts the engine's UTF-8 byte offset into a UTF-16 index of the same text; clamped to its end. */
export function utf16Index(text: string, byteOffset: number): number {
  let bytes = 0
  let index = 0
  while (index < text.length && bytes < byteOffset) {
    const codePoint = text.codePointAt(index) ?? 0
    bytes += utf8Length(codePoint)
    index += codePoint > 0xffff ? 2 : 1
  }
  return index
}

function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1
  if (codePoint < 0x800) return 2
  return codePoint < 0x10000 ? 3 : 4
}
