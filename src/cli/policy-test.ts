import { type Command, InvalidArgumentError } from 'commander'
import type { CoverageReport, PolicyCoverage } from '#policy/compile/coverage.ts'
import type { TestReport } from '#policy/compile/run-tests.ts'
import { type CompileFlags, compileDirectory, strictOption } from './compile.ts'
import type { CliContext } from './context.ts'
import { CliFailure, EXIT } from './failure.ts'
import { findingsOf, printFindings, requireOk } from './findings.ts'
import { folderArgument } from './folder-argument.ts'
import { printable, renderTable } from './table.ts'

interface TestFlags extends CompileFlags {
  readonly min?: number
}

/** `warder policy test`. */
export function addTestCommand(policy: Command, context: CliContext): void {
  policy
    .command('test')
    .addArgument(folderArgument())
    .addOption(strictOption())
    .option('--coverage', 'also tell which policies and which parts of conditions no test decided')
    .option('--min <percent>', 'fail when the tests decide less than this; implies --coverage', percentage)
    .description('run tests/*.json of the folder and print each failure')
    .action(async (directory: string, flags: TestFlags, command: Command) => {
      const output = context.output(command)
      const coverage = flags.coverage === true || flags.min !== undefined
      const outcome = await compileDirectory(directory, output, { ...flags, coverage })
      const { tests } = outcome
      if (tests === undefined) printFindings(outcome, output)
      else for (const failure of tests.failures) output.note(failureText(failure))
      const measured = outcome.ok ? outcome.coverage : undefined
      output.object(
        { ok: outcome.ok, ...findingsOf(outcome), ...tests, ...(measured && { coverage: measured }) },
        [
          tests === undefined ? 'not run' : `${tests.passed} of ${tests.total} tests passed`,
          ...(measured === undefined ? [] : coverageLines(measured)),
        ],
      )
      requireOk(outcome, output)
      if (measured !== undefined) requireCoverage(measured, flags.min ?? 0)
    })
}

function failureText({ file, name, expected, actual }: TestReport['failures'][number]): string {
  return `failed: ${file}: ${name}\n  expected ${show(expected)}\n  actual   ${show(actual)}`
}

function show(outcome: object | string): string {
  return typeof outcome === 'string' ? outcome : JSON.stringify(outcome)
}

function coverageLines({ policies, goals, met, percent }: CoverageReport): readonly string[] {
  const table = renderTable<PolicyCoverage>(
    [
      { heading: 'policy', cell: ({ id }) => id },
      { heading: 'reached', cell: ({ reached }) => `${reached}` },
      { heading: 'satisfied', cell: ({ satisfied }) => `${satisfied}` },
      { heading: 'errored', cell: ({ errored }) => `${errored}` },
      {
        heading: 'parts decided both ways',
        cell: ({ parts }) => `${parts.filter(isDecided).length} of ${parts.length}`,
      },
    ],
    policies,
  )
  return ['', ...table, ...policies.flatMap(gapsOf), `coverage: ${percent} % (${met} of ${goals})`]
}

function isDecided({ holds, fails }: PolicyCoverage['parts'][number]): boolean {
  return holds > 0 && fails > 0
}

function gapsOf({ id, file, line, satisfied, parts }: PolicyCoverage): readonly string[] {
  const place = `${printable(file)}:${line}: ${id}:`
  return [
    ...(satisfied === 0 ? [`${place} no test satisfies it`] : []),
    ...parts.flatMap(({ text, holds, fails }) => [
      ...(holds === 0 ? [`${place} in no test holds: ${printable(text)}`] : []),
      ...(fails === 0 ? [`${place} in no test fails: ${printable(text)}`] : []),
    ]),
  ]
}

function requireCoverage({ percent }: CoverageReport, min: number): void {
  if (percent >= min) return
  throw new CliFailure(EXIT.wrong, {
    code: 'policy.coverage_low',
    message: `the tests decide ${percent} % of the policies; at least ${min} % is asked for`,
    help: 'add tests for what `--coverage` lists',
  })
}

function percentage(text: string): number {
  const value = Number(text)
  if (/^\d{1,3}(\.\d)?$/.test(text) && value <= 100) return value
  throw new InvalidArgumentError('It must be a number from 0 to 100.')
}
