import { Option } from 'commander'
import { readPolicyFolder, readShippedPolicies } from '#admin/policy-folder.ts'
import type { CompileOutcome } from '#policy/compile/compile.ts'
import { fromAdmin } from './failure.ts'
import type { Output } from './output.ts'

/** A folder is given up after this long; 10,000 policies take about ten seconds. */
const TIMEOUT_MILLISECONDS = 300_000

/** How a folder is compiled. */
export interface CompileFlags {
  /** Every warning is an error. */
  readonly strict?: boolean
  /** Also measures what the tests decide. */
  readonly coverage?: boolean
}

/** Compiles the policy folder in a worker, with progress. */
export async function compileDirectory(
  directory: string,
  output: Output,
  { strict = false, coverage = false }: CompileFlags = {},
): Promise<CompileOutcome> {
  const [files, shipped] = await Promise.all([readPolicyFolder(directory), readShippedPolicies()])
  if (!files.ok) throw fromAdmin(files.failure)
  const { compileInWorker } = await import('#policy/compile/compile-in-worker.ts')
  const outcome = await compileInWorker(
    { files: files.value, ...shipped, coverage },
    {
      timeoutMilliseconds: TIMEOUT_MILLISECONDS,
      onProgress: ({ stage, done, total }) => output.progress(stage, done, total),
    },
  )
  return strict ? strictly(outcome) : outcome
}

/** The option that all commands share which compile a folder. */
export function strictOption(): Option {
  return new Option('--strict', 'treat every warning as an error (docs/lint.md lists them)')
}

function strictly(outcome: CompileOutcome): CompileOutcome {
  const findings = outcome.ok ? outcome.warnings : outcome.diagnostics
  if (findings.length === 0) return outcome
  const { tests } = outcome
  const diagnostics = findings.map((finding) => ({ ...finding, severity: 'error' as const }))
  return { ok: false, diagnostics, ...(tests === undefined ? {} : { tests }) }
}
