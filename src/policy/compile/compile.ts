import type { PolicyRecord, ReleaseContent, SchemaModel, SourceFile, Vocabulary } from '#model/release.ts'
import { areaOf, checkFolder } from './check-folder.ts'
import { compileSchema, type SchemaOutcome } from './compile-schema.ts'
import { type CoverageReport, measureCoverage } from './coverage.ts'
import { type Diagnostic, diagnosticAt, type Finding, lineNumber } from './diagnostic.ts'
import { EngineFailure } from './engine.ts'
import { type PlacedTest, readTests } from './folder-tests.ts'
import { LIMITS } from './limits.ts'
import { lintGuardrail } from './lint-guardrail.ts'
import { lintRelease } from './lint-release.ts'
import { namesWarder } from './merge-schema.ts'
import { type CompiledPolicy, compilePolicy, entitiesOf } from './policy-record.ts'
import { compareText, releaseId, sortedByName } from './release-id.ts'
import { runTests, type TestReport } from './run-tests.ts'
import { splitPolicies } from './split-policies.ts'
import { validateBatch } from './validate-release.ts'

/** A pushed folder (`*.cedar`, `*.cedarschema`, `tests/*.json`) and what Warder adds to it. */
export interface CompileInput {
  readonly files: readonly SourceFile[]
  /** Shipped guardrails (`*.cedar`); part of every release that uses the `Warder` vocabulary. */
  readonly guardrails: readonly SourceFile[]
  /** Text of the shipped schema. */
  readonly warderSchema: string
  /** Whether to measure what the tests decide. Default: no. */
  readonly coverage?: boolean
}

/** A release, or everything that is wrong with the folder. */
export type CompileOutcome =
  | {
      readonly ok: true
      readonly release: ReleaseContent
      readonly warnings: readonly Diagnostic[]
      readonly tests: TestReport
      readonly coverage?: CoverageReport
    }
  | {
      readonly ok: false
      readonly diagnostics: readonly Diagnostic[]
      readonly tests?: TestReport
    }

/** How far a compilation is; `total` is known from the first call of a stage. */
export interface CompileProgress {
  readonly stage: 'parse' | 'validate' | 'test' | 'coverage'
  readonly done: number
  readonly total: number
}

/** Called every few policies; must not throw. */
export type OnCompileProgress = (progress: CompileProgress) => void

// Validation costs policies times actions, so a batch's schema declares only the tools that its own policies name;
// measured best between 20 and 40.
const BATCH = 32
const TOOL_TYPE = 'Warder::Action'

/**
 * Compiles a folder into a release: guard, parse, check, validate strictly, run its tests. Synchronous and slow (about
 * a millisecond for each policy), and the engine may die on hostile input: use `compileInWorker` in a server.
 * All findings are reported together, sorted by file and position. Never throws on any input text.
 *
 * Tools that only policies name stand in `schemaText` but not in `schema.actions`: they are like `callTool`, and ten
 * thousand of them would make the header of the release too large.
 */
export function compileFolder(input: CompileInput, onProgress: OnCompileProgress = () => {}): CompileOutcome {
  const compilation = new Compilation(input, onProgress)
  try {
    return compilation.run()
  } catch (fault) {
    if (!(fault instanceof EngineFailure)) throw fault
    const cause = fault.cause instanceof Error ? `: ${fault.cause.message}` : ''
    compilation.report(compilation.current, 0, {
      code: 'policy.engine_failure',
      message: `${fault.message}${cause}`,
    })
    return { ok: false, diagnostics: compilation.sorted() }
  }
}

/** One run over a folder; collects findings. */
class Compilation {
  readonly #input: CompileInput
  readonly #onProgress: OnCompileProgress
  readonly #diagnostics: Diagnostic[] = []
  readonly #policyFiles: readonly SourceFile[]
  readonly #schemaFiles: readonly SourceFile[]
  readonly #testFiles: readonly SourceFile[]
  /** What is worked on, for faults that name no place. */
  current: SourceFile

  constructor(input: CompileInput, onProgress: OnCompileProgress) {
    this.#input = input
    this.#onProgress = onProgress
    const files = sortedByName(input.files)
    this.#policyFiles = files.filter((file) => areaOf(file) === 'policy')
    this.#schemaFiles = files.filter((file) => areaOf(file) === 'schema')
    this.#testFiles = files.filter((file) => areaOf(file) === 'test')
    this.current = files[0] ?? { name: '', text: '' }
  }

  run(): CompileOutcome {
    this.#diagnostics.push(...checkFolder(this.#input))
    if (this.#hasErrors()) return { ok: false, diagnostics: this.sorted() }
    const vocabulary = this.#vocabulary()
    const policies = this.#parse('tenant', this.#policyFiles)
    const guardrails =
      vocabulary === 'warder' ? this.#parse('guardrail', sortedByName(this.#input.guardrails)) : []
    const named = this.#checkIds([...guardrails, ...policies])
    const tests = this.#readTests()
    const schema = this.#schema(vocabulary, [...guardrails, ...policies])
    if (schema?.ok) this.#validate(named, guardrails, schema)
    const records = [...policies, ...guardrails].flatMap(({ record }) => record ?? [])
    if (this.#hasErrors()) return { ok: false, diagnostics: this.sorted() }
    const model = schema?.ok ? schema.model : undefined
    this.#diagnostics.push(...lintRelease(policies, { vocabulary, schema: model }))
    const schemaText = schema?.ok ? schema.text() : undefined
    const report = this.#runTests(tests, records, schemaText)
    if (this.#hasErrors()) return { ok: false, diagnostics: this.sorted(), tests: report }
    return {
      ok: true,
      release: this.#release(vocabulary, records, schemaText, model),
      warnings: this.sorted(),
      tests: report,
      ...(this.#input.coverage === true && { coverage: this.#coverage(tests, policies, schemaText) }),
    }
  }

  report(file: SourceFile, offset: number, finding: Finding): void {
    this.#diagnostics.push(diagnosticAt(file, offset, finding))
  }

  sorted(): readonly Diagnostic[] {
    return this.#diagnostics.toSorted(
      (a, b) =>
        compareText(a.file, b.file) || a.line - b.line || a.column - b.column || compareText(a.code, b.code),
    )
  }

  #hasErrors(): boolean {
    return this.#diagnostics.some((diagnostic) => diagnostic.severity === 'error')
  }

  #vocabulary(): Vocabulary {
    return [...this.#policyFiles, ...this.#schemaFiles].some((file) => namesWarder(file.text))
      ? 'warder'
      : 'own'
  }

  #parse(origin: PolicyRecord['origin'], files: readonly SourceFile[]): readonly CompiledPolicy[] {
    const sources = files.flatMap((file) => {
      const split = splitPolicies(file)
      this.#diagnostics.push(...split.diagnostics)
      return split.policies
    })
    if (sources.length > LIMITS.policies) {
      this.report(this.current, 0, {
        code: 'policy.too_many',
        message: `the release has ${sources.length} policies; the limit is ${LIMITS.policies}`,
      })
      return []
    }
    if (sources.length === 0 && origin === 'tenant')
      this.report(this.current, 0, {
        severity: 'warning',
        code: 'policy.none',
        message: 'the release has no policy: every request will be denied',
      })
    const compiled: CompiledPolicy[] = []
    for (const [i, source] of sources.entries()) {
      this.current = source.file
      const policy = compilePolicy(source, origin)
      if ('source' in policy) {
        compiled.push(policy)
        this.#diagnostics.push(...policy.diagnostics)
      } else this.#diagnostics.push(...policy)
      this.#progress('parse', i + 1, sources.length)
    }
    return compiled
  }

  /** Reports ids that are used twice; gives the policies that have an id of their own. */
  #checkIds(policies: readonly CompiledPolicy[]): readonly CompiledPolicy[] {
    const first = new Map<string, CompiledPolicy>()
    for (const policy of policies) {
      const { id, source } = policy
      if (id === undefined) continue
      const other = first.get(id)?.source
      if (other === undefined) first.set(id, policy)
      else
        this.report(source.file, source.annotations.get('id') ?? source.head, {
          code: 'policy.id_duplicate',
          message: `the \`@id\` \`${id}\` is used twice`,
          help: `the other policy is in ${other.file.name}, line ${lineNumber(other.file, other.head)}`,
          policy: id,
        })
    }
    return [...first.values()]
  }

  #readTests(): readonly PlacedTest[] {
    return this.#testFiles.flatMap((file) => {
      const read = readTests(file)
      this.#diagnostics.push(...read.diagnostics)
      return read.tests
    })
  }

  #schema(vocabulary: Vocabulary, policies: readonly CompiledPolicy[]): SchemaOutcome | undefined {
    if (vocabulary === 'own' && this.#schemaFiles.length === 0) {
      this.report(this.current, 0, {
        severity: 'warning',
        code: 'schema.missing',
        message: 'the folder has no schema, so its policies were not validated',
        help: 'a misspelt attribute makes a policy fail at run time; add a `*.cedarschema`',
      })
      return undefined
    }
    this.current = this.#schemaFiles[0] ?? this.current
    const ours =
      vocabulary === 'warder' ? { name: 'schema.cedarschema', text: this.#input.warderSchema } : undefined
    const outcome = compileSchema(ours, this.#schemaFiles, toolsOf(policies))
    this.#diagnostics.push(...outcome.diagnostics)
    return outcome
  }

  #validate(
    policies: readonly CompiledPolicy[],
    guardrails: readonly CompiledPolicy[],
    schema: SchemaOutcome & { readonly ok: true },
  ): void {
    for (const guardrail of guardrails) this.#diagnostics.push(...lintGuardrail(guardrail, schema.model))
    const ordered = policies
      .map((policy) => ({ policy, tool: [...toolsOf([policy])][0] ?? '' }))
      .toSorted((a, b) => compareText(a.tool, b.tool))
      .map(({ policy }) => policy)
    for (let i = 0; i < ordered.length; i += BATCH) {
      const batch = ordered.slice(i, i + BATCH)
      this.current = batch[0]?.source.file ?? this.current
      const named = batch.map(({ id, source }) => ({ id: id ?? '', source }))
      this.#diagnostics.push(...validateBatch(named, schema.text(toolsOf(batch))))
      this.#progress('validate', i + batch.length, ordered.length)
    }
  }

  #runTests(
    tests: readonly PlacedTest[],
    records: readonly PolicyRecord[],
    schemaText: string | undefined,
  ): TestReport {
    this.current = this.#testFiles[0] ?? this.current
    const outcome = runTests(tests, records, schemaText, (done) => this.#progress('test', done, tests.length))
    this.#diagnostics.push(...outcome.diagnostics)
    return outcome.report
  }

  #coverage(tests: readonly PlacedTest[], policies: readonly CompiledPolicy[], schemaText?: string) {
    return measureCoverage(tests, policies, schemaText, (done) =>
      this.#progress('coverage', done, tests.length),
    )
  }

  #release(
    vocabulary: Vocabulary,
    policies: readonly PolicyRecord[],
    schemaText: string | undefined,
    schema: SchemaModel | undefined,
  ): ReleaseContent {
    const { files, guardrails, warderSchema } = this.#input
    const isWarder = vocabulary === 'warder'
    return {
      id: releaseId(files, isWarder ? guardrails : [], isWarder ? warderSchema : ''),
      vocabulary,
      validated: schema !== undefined,
      schema,
      policyCount: policies.length,
      schemaText,
      sources: sortedByName(files),
      policies,
    }
  }

  #progress(stage: CompileProgress['stage'], done: number, total: number): void {
    if (stage === 'validate' || done % 50 === 0 || done === total) this.#onProgress({ stage, done, total })
  }
}

/** Ids of the tools that the policies name. */
function toolsOf(policies: readonly CompiledPolicy[]): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { json } of policies)
    for (const { type, id } of entitiesOf(json)) if (type === TOOL_TYPE) ids.add(id)
  return ids
}
