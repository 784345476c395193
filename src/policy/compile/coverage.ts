import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { askTest, prepareTests } from './ask-test.ts'
import { lineNumber } from './diagnostic.ts'
import type { PlacedTest } from './folder-tests.ts'
import type { CompiledPolicy } from './policy-record.ts'
import { expressionText } from './policy-text.ts'

/** How often the tests decided one part of a condition, among those that the scope of its policy matched. */
export interface PartCoverage {
  /** As Cedar writes it. */
  readonly text: string
  readonly holds: number
  readonly fails: number
  readonly errors: number
}

/** What the tests showed of one policy. */
export interface PolicyCoverage {
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly file: string
  readonly line: number
  /** Tests that its scope matched. */
  readonly reached: number
  readonly satisfied: number
  readonly errored: number
  /** Operands of the outer `&&` and `||` of its conditions. */
  readonly parts: readonly PartCoverage[]
}

/** What the tests of a folder decided of its own policies. */
export interface CoverageReport {
  /** One for each policy that a test can satisfy, and two for each part, which can hold and fail. */
  readonly goals: number
  readonly met: number
  /** `met` of `goals`, rounded down to a tenth; 100 without policies. */
  readonly percent: number
  readonly policies: readonly PolicyCoverage[]
}

const HANDLE = 'folder-coverage'

/**
 * Evaluates each policy, its scope alone and each part of its conditions as permits of their own for every test. Parts
 * are evaluated by themselves: one that only makes sense after another (`has`) counts as an error where that one fails.
 * @throws EngineFailure
 */
export function measureCoverage(
  tests: readonly PlacedTest[],
  policies: readonly CompiledPolicy[],
  schemaText: string | undefined,
  onProgress: (done: number) => void,
): CoverageReport {
  const probes = policies.map((policy, i) => new Probe(policy, `${i}`))
  prepareTests(HANDLE, Object.fromEntries(probes.flatMap((probe) => probe.permits())), schemaText)
  for (const [i, { test }] of tests.entries()) {
    const answer = askTest(test, HANDLE, schemaText !== undefined)
    if (typeof answer !== 'string') {
      const holding = new Set(answer.diagnostics.reason)
      const errored = new Set(answer.diagnostics.errors.map(({ policyId }) => policyId))
      for (const probe of probes) probe.count(holding, errored)
    }
    onProgress(i + 1)
  }
  prepareTests(HANDLE, {}, undefined)
  return reportOf(probes.map((probe) => probe.result()))
}

function reportOf(policies: readonly PolicyCoverage[]): CoverageReport {
  let [goals, met] = [0, 0]
  for (const { satisfied, parts } of policies) {
    const decided = [satisfied, ...parts.flatMap(({ holds, fails }) => [holds, fails])]
    goals += decided.length
    met += decided.filter((times) => times > 0).length
  }
  const percent = goals === 0 ? 100 : Math.floor((met / goals) * 1_000) / 10
  return { goals, met, percent, policies }
}

/** One policy with the counts of its parts; `key` begins the names of its permits. */
class Probe {
  readonly #policy: CompiledPolicy
  readonly #key: string
  readonly #parts: readonly { readonly key: string; readonly body: Expr; readonly times: Times }[]
  readonly #whole: Times = { holds: 0, fails: 0, errors: 0 }

  constructor(policy: CompiledPolicy, key: string) {
    this.#policy = policy
    this.#key = key
    this.#parts = policy.json.conditions
      .flatMap(({ body }) => operandsOf(body))
      .map((body, i) => ({ key: `${key}.${i}`, body, times: { holds: 0, fails: 0, errors: 0 } }))
  }

  permits(): readonly (readonly [string, PolicyJson])[] {
    const { principal, action, resource, conditions } = this.#policy.json
    const scope: PolicyJson = { effect: 'permit', principal, action, resource, conditions: [] }
    const part = (body: Expr): PolicyJson => ({ ...scope, conditions: [{ kind: 'when', body }] })
    return [
      [this.#scopeKey(), scope],
      [this.#key, { ...scope, conditions }],
      ...this.#parts.map(({ key, body }) => [key, part(body)] as const),
    ]
  }

  count(holding: ReadonlySet<string>, errored: ReadonlySet<string>): void {
    if (!holding.has(this.#scopeKey())) return
    for (const { key, times } of [{ key: this.#key, times: this.#whole }, ...this.#parts]) {
      if (holding.has(key)) times.holds += 1
      else if (errored.has(key)) times.errors += 1
      else times.fails += 1
    }
  }

  result(): PolicyCoverage {
    const { id = '', json, source } = this.#policy
    const { holds, fails, errors } = this.#whole
    return {
      id,
      effect: json.effect,
      file: source.file.name,
      line: lineNumber(source.file, source.head),
      reached: holds + fails + errors,
      satisfied: holds,
      errored: errors,
      parts: this.#parts.map(({ body, times }) => ({ text: expressionText(body), ...times })),
    }
  }

  #scopeKey(): string {
    return `${this.#key}.scope`
  }
}

interface Times {
  holds: number
  fails: number
  errors: number
}

/** The operands of the outer `&&` and `||`, from left to right. */
function operandsOf(body: Expr): readonly Expr[] {
  const found: Expr[] = []
  const rest: Expr[] = [body]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const pair = parsePair(next)
    if (pair === undefined) found.push(next)
    else rest.push(pair.right, pair.left)
  }
  return found
}

function parsePair(expression: Expr): { readonly left: Expr; readonly right: Expr } | undefined {
  const [operator, operand] = Object.entries(expression)[0] ?? []
  return operator === '&&' || operator === '||' ? (operand as { left: Expr; right: Expr }) : undefined
}
