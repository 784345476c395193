import { parentPort, workerData } from 'node:worker_threads'
import { runCases } from './run-cases.ts'

const { seed, stride, cases } = workerData
parentPort?.postMessage(await runCases(seed, stride, cases))
