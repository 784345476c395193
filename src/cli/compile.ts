import { readPolicyFolder, readShippedPolicies } from '#admin/policy-folder.ts'
import type { CompileOutcome } from '#policy/compile/compile.ts'
import { fromAdmin } from './failure.ts'
import type { Output } from './output.ts'

/** A folder is given up after this long; 10,000 policies take about ten seconds. */
const TIMEOUT_MILLISECONDS = 300_000

/** Compiles the policy folder in a worker, with progress. */
export async function compileDirectory(directory: string, output: Output): Promise<CompileOutcome> {
  const [files, shipped] = await Promise.all([readPolicyFolder(directory), readShippedPolicies()])
  if (!files.ok) throw fromAdmin(files.failure)
  const { compileInWorker } = await import('#policy/compile/compile-in-worker.ts')
  return compileInWorker(
    { files: files.value, ...shipped },
    {
      timeoutMilliseconds: TIMEOUT_MILLISECONDS,
      onProgress: ({ stage, done, total }) => output.progress(stage, done, total),
    },
  )
}
