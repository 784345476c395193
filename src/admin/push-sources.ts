import { failed, type Result, success } from '#lib/result.ts'
import type { SourceFile } from '#model/release.ts'
import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
import type { Diagnostic } from '#policy/compile/diagnostic.ts'
import { type AdminFailure, invalid } from './failure.ts'
import { readShippedPolicies } from './policy-folder.ts'
import type { AdminStore } from './ports.ts'
import { type PushedRelease, pushRelease } from './push-release.ts'

/** Why sources were not stored; `diagnostics` say where in the files. */
export interface SourcesFailure extends AdminFailure {
  readonly diagnostics: readonly Diagnostic[]
}

const COMPILE_MILLISECONDS = 120_000
const HEAP_MEGABYTES = 512

/**
 * Compiles the files of a policy folder in a worker, with the guardrails of this installation, and stores the release.
 * Nothing is stored when anything is wrong, a failed test included.
 */
export async function pushSources(
  store: AdminStore,
  request: { readonly tenant: string; readonly files: readonly SourceFile[]; readonly activate: boolean },
): Promise<Result<PushedRelease & { readonly warnings: readonly Diagnostic[] }, SourcesFailure>> {
  const { tenant, files, activate } = request
  const compiled = await compileInWorker(
    { files, ...(await readShippedPolicies()) },
    { timeoutMilliseconds: COMPILE_MILLISECONDS, heapMegabytesMax: HEAP_MEGABYTES },
  )
  if (!compiled.ok) {
    const { diagnostics } = compiled
    return failed({ ...invalid('policy.invalid', 'the files have errors; nothing was stored'), diagnostics })
  }
  const { release, warnings } = compiled
  const pushed = await pushRelease(store, { tenant, release, activate })
  return pushed.ok ? success({ ...pushed.value, warnings }) : failed({ ...pushed.failure, diagnostics: [] })
}
