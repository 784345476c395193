import type { PolicyRecord } from '#model/release.ts'
import { askTest, prepareTests } from './ask-test.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import type { FolderTest, PlacedTest } from './folder-tests.ts'
import { compareText } from './release-id.ts'

/** What one test expected or got. */
export interface TestOutcome {
  readonly decision: 'allow' | 'deny'
  readonly reason?: readonly string[]
  readonly num_errors?: number
  readonly obligations?: readonly string[]
}

/** Result of the tests of a folder. */
export interface TestReport {
  readonly total: number
  readonly passed: number
  readonly failures: readonly {
    readonly file: string
    readonly name: string
    readonly expected: TestOutcome
    /** A text where the request could not be evaluated at all. */
    readonly actual: TestOutcome | string
  }[]
}

const HANDLE = 'folder-tests'

/**
 * Runs every test against the full set of policies, with the schema where there is one. A forbid that errors denies,
 * as it does when Warder decides.
 * @throws EngineFailure
 */
export function runTests(
  tests: readonly PlacedTest[],
  policies: readonly PolicyRecord[],
  schemaText: string | undefined,
  onProgress: (done: number) => void,
): { readonly report: TestReport; readonly diagnostics: readonly Diagnostic[] } {
  if (tests.length === 0) return { report: { total: 0, passed: 0, failures: [] }, diagnostics: [] }
  const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]))
  prepareTests(HANDLE, staticPolicies, schemaText)
  const byId = new Map(policies.map((policy) => [policy.id, policy]))
  const diagnostics: Diagnostic[] = []
  const failures: TestReport['failures'][number][] = []
  for (const [i, { test, file, offset }] of tests.entries()) {
    const actual = evaluate(test, byId, schemaText !== undefined)
    const expected = expectation(test)
    if (typeof actual === 'string' || !meets(actual, expected)) {
      failures.push({ file: file.name, name: test.name, expected, actual })
      diagnostics.push(diagnosticAt(file, offset, failure(test.name, expected, actual)))
    }
    onProgress(i + 1)
  }
  prepareTests(HANDLE, {}, undefined)
  return { report: { total: tests.length, passed: tests.length - failures.length, failures }, diagnostics }
}

function evaluate(
  test: FolderTest,
  byId: ReadonlyMap<string, PolicyRecord>,
  hasSchema: boolean,
): TestOutcome | string {
  const answer = askTest(test, HANDLE, hasSchema)
  if (typeof answer === 'string') return answer
  const { decision, diagnostics } = answer
  const errored = diagnostics.errors.map((error) => byId.get(error.policyId))
  // INVARIANT: an erroring forbid denies, here as on the hot path.
  const isDeniedByError = decision === 'allow' && errored.some((policy) => policy?.effect !== 'permit')
  const reason = isDeniedByError ? [] : diagnostics.reason.toSorted(compareText)
  const obligations = reason.flatMap((id) => (byId.get(id)?.obligations ?? []).map(({ type }) => type))
  return {
    decision: isDeniedByError ? 'deny' : decision,
    reason,
    num_errors: diagnostics.errors.length,
    obligations: sortedSet(obligations),
  }
}

function expectation(test: FolderTest): TestOutcome {
  return {
    decision: test.decision,
    ...(test.reason === undefined ? {} : { reason: sortedSet(test.reason) }),
    ...(test.num_errors === undefined ? {} : { num_errors: test.num_errors }),
    ...(test.obligations === undefined ? {} : { obligations: sortedSet(test.obligations) }),
  }
}

function meets(actual: TestOutcome, expected: TestOutcome): boolean {
  return (
    actual.decision === expected.decision &&
    (expected.num_errors === undefined || expected.num_errors === actual.num_errors) &&
    (expected.reason === undefined || isSame(expected.reason, actual.reason)) &&
    (expected.obligations === undefined || isSame(expected.obligations, actual.obligations))
  )
}

function isSame(expected: readonly string[], actual: readonly string[] | undefined): boolean {
  return JSON.stringify(expected) === JSON.stringify(actual)
}

function sortedSet(values: readonly string[]): readonly string[] {
  return [...new Set(values)].toSorted()
}

function failure(name: string, expected: TestOutcome, actual: TestOutcome | string): Finding {
  const message =
    typeof actual === 'string'
      ? `the test \`${name}\` could not be evaluated: ${actual}`
      : `the test \`${name}\` expects ${describe(expected, expected)}, but the answer is ${describe(actual, expected)}`
  return { code: 'test.failed', message }
}

/** Only what the test asked about. */
function describe(outcome: TestOutcome, asked: TestOutcome): string {
  const parts: string[] = [outcome.decision]
  if (asked.reason !== undefined) parts.push(`reason [${outcome.reason?.join(', ')}]`)
  if (asked.num_errors !== undefined) parts.push(`${outcome.num_errors} errors`)
  if (asked.obligations !== undefined) parts.push(`obligations [${outcome.obligations?.join(', ')}]`)
  return parts.join(', ')
}
