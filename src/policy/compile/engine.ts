import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs'
import { loadCedar } from '#policy/load-cedar.ts'

/** The engine died or refused the input with an exception; nothing that it says after this can be trusted. */
export class EngineFailure extends Error {}

/** Loaded by the first call: 30 ms and 17 MB that a server which compiles nothing itself can do without. */
let loaded: typeof cedar | undefined

/**
 * Calls the engine. Any exception becomes an `EngineFailure`: after a trap the instance is dead (docs/decisions/0003-cedar-engine.md), so
 * compilation ends there.
 */
export function callEngine<Answer>(call: (engine: typeof cedar) => Answer): Answer {
  try {
    loaded ??= loadCedar()
    return call(loaded)
  } catch (fault) {
    throw new EngineFailure('the policy engine failed on this input', { cause: fault })
  }
}

/** An error of the engine with all its related ones, each once. */
export function flattenErrors(errors: readonly DetailedError[]): readonly DetailedError[] {
  return errors.flatMap((error) => [error, ...flattenErrors(error.related ?? [])])
}

/** The engine's help and, for parse errors, what it expected there. */
export function helpOf(error: DetailedError): string | undefined {
  const expected = error.sourceLocations?.[0]?.label
  const parts = [error.help, expected].filter((part) => typeof part === 'string' && part !== '')
  return parts.length === 0 ? undefined : parts.join('; ')
}
