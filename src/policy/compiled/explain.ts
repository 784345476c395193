import type { PolicyRecord } from '#model/release.ts'
import type { Query } from '#policy/port.ts'
import { clausesOf, compileExpression, operandsOf } from './compile.ts'
import { type TextRange, termRanges } from './condition-ranges.ts'
import { conditionsText } from './conditions.ts'
import { Environment } from './environment.ts'

/** One term of a policy's conditions and what it comes to. */
export interface Term {
  /** A `when` holds when all of its terms are true, an `unless` when all of its terms are false. */
  readonly kind: 'when' | 'unless'
  /** On its own: a term that an earlier one keeps from being reached has a truth too. */
  readonly truth: 'true' | 'false' | 'error'
  /** UTF-16 indices in the policy's own text; undefined where they can not be told. */
  readonly range: TextRange | undefined
}

/**
 * Takes the conditions of one policy apart: the operands of `&&` of each `when` and those of `||` of each `unless`, in
 * their order. The scope is not looked at. Compiles each time; not for the hot path.
 *
 * @throws Unsupported as `compileConditions` does; TypeError for a query that holds what is no Cedar value
 */
export function explainConditions(record: PolicyRecord, query: Query): readonly Term[] {
  const environment = new Environment(query)
  const clauses = clausesOf(record.conditions ?? conditionsText(record.text))
  const places = termRanges(record.text)
  return clauses.flatMap(({ kind, body }, i) => {
    const operands = operandsOf(body, kind === 'when' ? '&&' : '||')
    const ranges = places.length === clauses.length ? places[i] : undefined
    const agree = ranges?.length === operands.length
    return operands.map((operand, at): Term => {
      const outcome = compileExpression(operand).run(environment)
      const truth = typeof outcome === 'boolean' ? (outcome ? 'true' : 'false') : 'error'
      return { kind, truth, range: agree ? ranges[at] : undefined }
    })
  })
}
