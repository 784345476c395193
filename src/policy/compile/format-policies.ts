import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { failed, type Result, success } from '#lib/result.ts'
import type { SourceFile } from '#model/release.ts'
import { checkText } from './check-text.ts'
import { type Diagnostic, diagnosticAt, utf16Index } from './diagnostic.ts'
import { callEngine, EngineFailure, flattenErrors, helpOf } from './engine.ts'
import { splitPolicies } from './split-policies.ts'

const LINE_WIDTH = 110
const INDENT_WIDTH = 2

/**
 * The text of a `*.cedar` file in Cedar's standard form (lines of 110, indented by 2); comments stay. Refuses a file
 * that does not parse, and a form that would no longer mean the same. Never throws on any text.
 */
export function formatPolicies(file: SourceFile): Result<string, readonly Diagnostic[]> {
  const guarded = [...checkText(file, 'policy'), ...splitPolicies(file).diagnostics]
  if (guarded.length > 0) return failed(guarded)
  try {
    return format(file)
  } catch (fault) {
    if (!(fault instanceof EngineFailure)) throw fault
    return failed([diagnosticAt(file, 0, { code: 'policy.engine_failure', message: fault.message })])
  }
}

function format(file: SourceFile): Result<string, readonly Diagnostic[]> {
  const answer = callEngine((engine) =>
    engine.formatPolicies({ policyText: file.text, lineWidth: LINE_WIDTH, indentWidth: INDENT_WIDTH }),
  )
  if (answer.type === 'failure')
    return failed(
      flattenErrors(answer.errors).map((error) =>
        diagnosticAt(file, utf16Index(file.text, error.sourceLocations?.[0]?.start ?? 0), {
          code: 'policy.syntax',
          message: error.message,
          help: helpOf(error),
        }),
      ),
    )
  const text = `${answer.formatted_policy.trim()}\n`
  // INVARIANT: what is written back means what the author wrote, whatever the formatter does.
  if (meaningOf({ ...file, text }) !== meaningOf(file))
    return failed([
      diagnosticAt(file, 0, {
        code: 'policy.engine_failure',
        message: 'the formatter would change what the file means',
      }),
    ])
  return success(text.trim() === '' ? '' : text)
}

/** The file as the engine reads it, policy by policy; without comments and layout. */
function meaningOf(file: SourceFile): string {
  const policies = splitPolicies(file).policies.map((source): PolicyJson | undefined => {
    const answer = callEngine((engine) => engine.policyToJson(source.text))
    return answer.type === 'success' ? answer.json : undefined
  })
  return JSON.stringify(policies)
}
