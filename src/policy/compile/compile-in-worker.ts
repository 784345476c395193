import { Worker } from 'node:worker_threads'
import type { CompileInput, CompileOutcome, CompileProgress, OnCompileProgress } from './compile.ts'
import { diagnosticAt, type Finding } from './diagnostic.ts'

/** Bounds of one compilation. */
export interface CompileInWorkerOptions {
  /** The worker is killed after this. */
  readonly timeoutMilliseconds: number
  /** Heap of the worker in MiB. Default 1,024. */
  readonly heapMegabytesMax?: number
  readonly onProgress?: OnCompileProgress
}

type Message = { readonly progress: CompileProgress } | { readonly outcome: CompileOutcome }

// Node's default of 4 MB is used up before the engine's own stack is (docs/decisions/0003-cedar-engine.md: stable from 16 MB).
const STACK_MEGABYTES = 32
const HEAP_MEGABYTES = 1_024

/**
 * Compiles in a thread of its own, so that hostile or huge input can neither stall nor kill the caller. A timeout, a
 * crash or a lack of memory is an outcome with one diagnostic. Never rejects.
 */
export function compileInWorker(
  input: CompileInput,
  options: CompileInWorkerOptions,
): Promise<CompileOutcome> {
  return new Promise((resolve) => {
    const settle = (outcome: CompileOutcome) => {
      clearTimeout(timer)
      // Terminating may fail only when the thread is gone already.
      void worker.terminate().catch(() => {})
      resolve(outcome)
    }
    const worker = new Worker(new URL('./compile-worker.ts', import.meta.url), {
      workerData: input,
      // Nothing of the server's environment is the compiler's business.
      env: {},
      execArgv: [],
      resourceLimits: {
        stackSizeMb: STACK_MEGABYTES,
        maxOldGenerationSizeMb: options.heapMegabytesMax ?? HEAP_MEGABYTES,
      },
    })
    const timer = setTimeout(
      () => settle(refusal(input, 'policy.compile_timeout', timeoutMessage(options.timeoutMilliseconds))),
      options.timeoutMilliseconds,
    )
    worker.on('message', (message: Message) => {
      if ('outcome' in message) settle(message.outcome)
      else options.onProgress?.(message.progress)
    })
    worker.on('error', (fault) =>
      settle(refusal(input, 'policy.compile_crashed', `the compiler failed: ${describe(fault)}`)),
    )
    worker.on('exit', (code) =>
      settle(refusal(input, 'policy.compile_crashed', `the compiler ended with code ${code}`)),
    )
  })
}

function timeoutMessage(milliseconds: number): string {
  return `the release was not compiled within ${milliseconds} milliseconds`
}

function describe(fault: unknown): string {
  return fault instanceof Error ? fault.message : 'unknown fault'
}

function refusal(input: CompileInput, code: Finding['code'], message: string): CompileOutcome {
  const file = input.files[0] ?? { name: '', text: '' }
  return { ok: false, diagnostics: [diagnosticAt(file, 0, { code, message })] }
}
