import { parentPort, workerData } from 'node:worker_threads'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { runFuzz } from './run-fuzz.ts'

// What can not be compiled must not hide behind the reference: here nothing stands in for it.
const evaluate = createCompiledEvaluate(() => [{ kind: 'engine', detail: 'not supported' }])
const onProgress = (cases: number): void => parentPort?.postMessage({ cases })
parentPort?.postMessage({ outcome: await runFuzz(evaluate, { ...workerData, onProgress }) })
