import { parentPort, workerData } from 'node:worker_threads'
import { type CompileInput, compileFolder } from './compile.ts'

// The thread that `compileInWorker` starts: one input, progress messages, one outcome.
const outcome = compileFolder(workerData as CompileInput, (progress) => parentPort?.postMessage({ progress }))
parentPort?.postMessage({ outcome })
