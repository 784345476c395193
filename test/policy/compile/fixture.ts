import { readFileSync } from 'node:fs'
import type { PolicyRecord, SourceFile } from '#model/release.ts'
import { type CompileInput, type CompileOutcome, compileFolder } from '#policy/compile/compile.ts'
import type { Diagnostic } from '#policy/compile/diagnostic.ts'

const warderSchema = readFileSync('policies/schema.cedarschema', 'utf8')

/** Input with these files by name, without guardrails unless given. */
export function folder(
  files: Readonly<Record<string, string>>,
  guardrails: Readonly<Record<string, string>> = {},
): CompileInput {
  return { files: sources(files), guardrails: sources(guardrails), warderSchema }
}

function sources(files: Readonly<Record<string, string>>): readonly SourceFile[] {
  return Object.entries(files).map(([name, text]) => ({ name, text }))
}

/** The findings for these files, errors and warnings. */
export function findings(
  files: Readonly<Record<string, string>>,
  guardrails: Readonly<Record<string, string>> = {},
): readonly Diagnostic[] {
  const outcome: CompileOutcome = compileFolder(folder(files, guardrails))
  return outcome.ok ? outcome.warnings : outcome.diagnostics
}

/** The release of these files; fails the test with the findings when there is none. */
export function release(
  files: Readonly<Record<string, string>>,
  guardrails: Readonly<Record<string, string>> = {},
) {
  const outcome = compileFolder(folder(files, guardrails))
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics, null, 2))
  return outcome.release
}

/** The record of one policy, compiled without a schema; `@id` is added. */
export function recordOf(policy: string): PolicyRecord {
  const [record] = release({ 'a.cedar': `@id("it") ${policy}` }).policies
  if (record === undefined) throw new Error('no policy')
  return record
}
