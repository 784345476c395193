import { setPriority } from 'node:os'
import { platform } from 'node:process'
import { parentPort } from 'node:worker_threads'
import type { Response } from '@cedar-policy/cedar-wasm/nodejs'
import { type CallFault, createEngine } from '#policy/engine/engine.ts'
import type { EngineCall } from '#policy/engine/evaluate.ts'

// The thread that `startReference` starts: an engine of its own, one answer for each question, in the order of the questions.

/** A question to the thread. */
export interface ReferenceQuestion {
  readonly id: number
  /** Names the policies: the same key always comes with the same ones. */
  readonly key: string
  /** Texts by id. */
  readonly policies: { readonly [id: string]: string }
  readonly call: EngineCall
}

/** What the thread says: at first whether its engine passes its probe, then answers. */
export type ReferenceMessage =
  | { readonly isSound: boolean }
  | { readonly id: number; readonly answer: Response | CallFault }

/** Of this thread, so that it takes no turn of a core from decisions; enough that a check comes to its end on a busy one. */
const NICENESS = 10

/** A check sees few releases at a time, and a slice takes about 25 KB. */
const SLOTS_MAX = 256

standBack()
const engine = createEngine()
const slots = new Map<string, string>()
let generation = engine.generation

function answer({ key, policies, call }: ReferenceQuestion): Response | CallFault {
  if (engine.generation !== generation) {
    generation = engine.generation
    slots.clear()
  }
  const known = slots.get(key)
  const slot = known ?? freeSlot()
  if (known === undefined) {
    const fault = engine.prepare(slot, policies)
    if (fault !== undefined) return fault
  }
  // Moves it to the end: the least recently used gives way.
  slots.delete(key)
  slots.set(key, slot)
  return engine.authorize({ ...call, preparsedPolicySetId: slot })
}

function standBack(): void {
  // Elsewhere than on Linux this would be the priority of the whole process.
  if (platform !== 'linux') return
  try {
    setPriority(NICENESS)
  } catch {
    // A sandbox may forbid it. Then this thread takes its turns like any other.
  }
}

function freeSlot(): string {
  const oldest = slots.size >= SLOTS_MAX ? slots.entries().next().value : undefined
  if (oldest === undefined) return engine.reserve()
  slots.delete(oldest[0])
  return oldest[1]
}

function say(message: ReferenceMessage): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (question: ReferenceQuestion) => say({ id: question.id, answer: answer(question) }))
say({ isSound: engine.probe() })
