import type { Environment } from './environment.ts'
import type { Outcome, RuntimeValue } from './value.ts'

/** An expression ready to run. INVARIANT: undefined is an evaluation error, and stays one through every operation. */
export type Run = (environment: Environment) => Outcome

/** A compiled expression; `constant` where it gives the same value for every query. */
export interface Expression {
  readonly run: Run
  readonly constant?: RuntimeValue
}

/** Policies that use something that this evaluator does not know; they are left to cedar-wasm. */
export class Unsupported extends Error {
  constructor(what: string) {
    super(`the compiled evaluator does not know ${what}`)
    this.name = 'Unsupported'
  }
}

/** An expression that always gives this value. */
export function constant(value: RuntimeValue): Expression {
  return { run: () => value, constant: value }
}

/** An expression that always errors. */
export const FAILING: Expression = { run: () => undefined }
