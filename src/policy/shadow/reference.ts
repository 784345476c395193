import { Worker } from 'node:worker_threads'
import type { Release } from '#model/release.ts'
import { callOf, evaluationOf } from '#policy/engine/evaluate.ts'
import { uniteReads } from '#policy/engine/read-plan.ts'
import { textsById } from '#policy/engine/slots.ts'
import type { EngineFault, Evaluation, Query } from '#policy/port.ts'
import type { ReferenceMessage, ReferenceQuestion } from './reference-worker.ts'

/** Asks cedar-wasm about a query on these policies of a release alone. Never rejects. */
export type AskReference = (
  release: Release,
  ordinals: readonly number[],
  query: Query,
) => Promise<Evaluation | EngineFault>

/** cedar-wasm in a thread of its own: parsing policies holds a thread for milliseconds, and decisions can not wait for that. */
export interface Reference {
  readonly ask: AskReference
  /** Whether its engine told a known allow from a known deny. */
  isSound(): Promise<boolean>
  close(): void
}

/** What a question takes is milliseconds; a thread that is silent for so long hangs. */
const SILENCE_MILLISECONDS = 30_000
const STACK_MEGABYTES = 32
const HEAP_MEGABYTES = 512

const GONE: EngineFault = { kind: 'engine', detail: 'the engine that checks gave no answer' }

/** Starts the thread. One that ends or hangs leaves its questions without an answer, and the next question starts another. */
export function startReference(): Reference {
  let thread: Thread | undefined
  let isClosed = false
  const current = (): Thread => {
    if (thread === undefined || thread.isOver) thread = new Thread()
    return thread
  }
  return {
    ask: async (release, ordinals, query) => {
      // INVARIANT: nothing thrown leaves; whatever goes wrong is no answer, and without one nothing is proven.
      try {
        return isClosed ? GONE : await askThread(current(), release, ordinals, query)
      } catch (error) {
        return { kind: 'engine', detail: error instanceof Error ? error.message : 'unknown fault' }
      }
    },
    isSound: async () => !isClosed && (await current().sound),
    close: () => {
      isClosed = true
      thread?.end()
    },
  }
}

async function askThread(
  thread: Thread,
  release: Release,
  ordinals: readonly number[],
  query: Query,
): Promise<Evaluation | EngineFault> {
  const policies = ordinals.map((ordinal) => release.policy(ordinal))
  const call = callOf(uniteReads(policies), query)
  if ('kind' in call) return call
  const key = `${release.id}:${ordinals.join()}`
  const answer = await thread.ask({ key, policies: textsById(policies), call })
  if ('kind' in answer) return { kind: answer.kind, detail: answer.detail }
  return evaluationOf(answer, new Map(policies.map(({ id, effect }) => [id, effect])))
}

type Answer = Extract<ReferenceMessage, { id: number }>['answer'] | EngineFault

class Thread {
  readonly sound: Promise<boolean>
  isOver = false
  readonly #worker: Worker
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #asked = 0
  #silence: NodeJS.Timeout | undefined

  constructor() {
    this.#worker = new Worker(new URL('./reference-worker.ts', import.meta.url), {
      // Nothing of the server's environment is the engine's business.
      env: {},
      execArgv: [],
      resourceLimits: { stackSizeMb: STACK_MEGABYTES, maxOldGenerationSizeMb: HEAP_MEGABYTES },
    })
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.sound = promise
    this.#worker.on('message', (message: ReferenceMessage) => {
      if ('isSound' in message) {
        resolve(message.isSound)
        this.#rest()
      } else this.#answer(message.id, message.answer)
    })
    const over = (): void => {
      resolve(false)
      this.#over()
    }
    this.#worker.on('error', over)
    this.#worker.on('exit', over)
  }

  ask(question: Omit<ReferenceQuestion, 'id'>): Promise<Answer> {
    this.#asked += 1
    const id = this.#asked
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#silence ??= this.#watch()
      this.#worker.ref()
      this.#worker.postMessage({ ...question, id } satisfies ReferenceQuestion)
    })
  }

  end(): void {
    this.#over()
    // Terminating may fail only when the thread is gone already.
    void this.#worker.terminate().catch(() => {})
  }

  #answer(id: number, answer: Answer): void {
    clearTimeout(this.#silence)
    this.#waiting.get(id)?.(answer)
    this.#waiting.delete(id)
    this.#silence = undefined
    if (this.#waiting.size > 0) this.#silence = this.#watch()
    else this.#rest()
  }

  /** A thread that nobody waits for keeps no process alive. */
  #rest(): void {
    if (this.#waiting.size === 0) this.#worker.unref()
  }

  #watch(): NodeJS.Timeout {
    return setTimeout(() => this.end(), SILENCE_MILLISECONDS).unref()
  }

  #over(): void {
    this.isOver = true
    clearTimeout(this.#silence)
    for (const resolve of this.#waiting.values()) resolve(GONE)
    this.#waiting.clear()
  }
}
