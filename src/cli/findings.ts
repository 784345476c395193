import type { CompileOutcome } from '#policy/compile/compile.ts'
import { renderDiagnostic } from './diagnostic.ts'
import { CliFailure, EXIT } from './failure.ts'
import type { Output } from './output.ts'

/** Prints the findings for people. */
export function printFindings(outcome: CompileOutcome, output: Output): void {
  for (const diagnostic of outcome.ok ? outcome.warnings : outcome.diagnostics) {
    output.note(`${renderDiagnostic(diagnostic)}\n`)
  }
}

/** The findings as JSON has them. */
export function findingsOf(outcome: CompileOutcome): object {
  const findings = outcome.ok ? outcome.warnings : outcome.diagnostics
  return {
    errors: findings.filter(({ severity }) => severity === 'error'),
    warnings: findings.filter(({ severity }) => severity === 'warning'),
  }
}

/**
 * Ends the command where the folder has errors. In JSON the findings are on the standard output already, so only the
 * exit code is left to tell.
 */
export function requireOk(outcome: CompileOutcome, output: Output): void {
  if (!outcome.ok) throw notCompiled(outcome, output)
}

/** The end of a command that needs a folder without errors. */
export function notCompiled(outcome: CompileOutcome, output: Output): CliFailure {
  const findings = outcome.ok ? [] : outcome.diagnostics.filter(({ severity }) => severity === 'error')
  const failure = { code: 'policy.invalid', message: `the folder has ${count(findings.length, 'error')}` }
  const details = findings.map(({ file, line, column, message, help }) => {
    return { path: `${file}:${line}:${column}`, message, help }
  })
  return new CliFailure(EXIT.wrong, failure, output.json ? details : [])
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
