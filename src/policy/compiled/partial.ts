import type { PolicyRecord, Release } from '#model/release.ts'
import type { Query } from '#policy/port.ts'
import { clausesOf, compileExpression, objectOf, operandsOf } from './compile.ts'
import { conditionsText } from './conditions.ts'
import { Environment, matchingIn } from './environment.ts'
import { UNKNOWN, UnknownFields } from './unknown-fields.ts'

/** What can still come of a question of which a part is not known yet. */
export type Residual = 'allow' | 'deny' | 'unknown'

/** Outcomes that a condition can have, as bits: it holds. */
export const TRUE = 1
/** It does not hold. */
export const FALSE = 2
const ERROR = 4
const ANY = TRUE | FALSE | ERROR

/**
 * Decides as far as it can be decided while some fields of the context are not known, such as the arguments of a tool that is
 * only listed. `deny` and `allow` hold whatever those fields will be, also absent. An erroring forbid counts as a deny.
 *
 * @param unknown names of context fields
 * @param counts which permits count. Default: all; for an autonomous agent only those that test for it do
 * @throws Unsupported as `compileConditions` does; TypeError for a query that holds what is no Cedar value
 */
export function residual(
  release: Release,
  query: Query,
  unknown: ReadonlySet<string>,
  counts: (permit: PolicyRecord) => boolean = () => true,
): Residual {
  const environment = new Environment({ ...query, context: new UnknownFields(query.context, unknown) })
  const matching = matchingIn(release, query, environment).map((ordinal) => release.policy(ordinal))
  const outcomes = (effect: PolicyRecord['effect']): readonly number[] =>
    matching
      .filter((record) => record.effect === effect && (effect === 'forbid' || counts(record)))
      .map((record) => outcomesOf(record, environment))
  const [permits, forbids] = [outcomes('permit'), outcomes('forbid')]
  const isStopped = forbids.some((each) => (each & FALSE) === 0)
  if (isStopped || permits.every((each) => (each & TRUE) === 0)) return 'deny'
  const isPermitted = permits.includes(TRUE) && forbids.every((each) => each === FALSE)
  return isPermitted ? 'allow' : 'unknown'
}

/**
 * Outcomes that the conditions of one policy can have, as bits; what throws `UNKNOWN` in the environment is not known.
 *
 * @throws Unsupported and TypeError as `residual` does
 */
export function outcomesOf(record: PolicyRecord, environment: Environment): number {
  const clauses = clausesOf(record.conditions ?? conditionsText(record.text))
  return chain(
    clauses.map(({ kind, body }) => (kind === 'unless' ? { '!': { arg: body } } : body)),
    TRUE,
    environment,
  )
}

/** Through `&&`, `||`, `!` and `if` one unknown operand leaves the others their say; anything else is known as a whole or not. */
function possible(node: unknown, environment: Environment): number {
  const { '&&': and, '||': or, '!': not, 'if-then-else': choice } = objectOf(node)
  if (and !== undefined) return chain(operandsOf(node, '&&'), TRUE, environment)
  if (or !== undefined) return chain(operandsOf(node, '||'), FALSE, environment)
  if (not !== undefined) return opposite(possible(objectOf(not)['arg'], environment))
  if (choice === undefined) return known(node, environment)
  const { if: test, then, else: otherwise } = objectOf(choice)
  const outcomes = possible(test, environment)
  return (
    (outcomes & ERROR) |
    (outcomes & TRUE ? possible(then, environment) : 0) |
    (outcomes & FALSE ? possible(otherwise, environment) : 0)
  )
}

/** Operands from left to right: only `passing` leads on to the next one. */
function chain(nodes: readonly unknown[], passing: number, environment: Environment): number {
  let outcomes = 0
  for (const node of nodes) {
    const next = possible(node, environment)
    outcomes |= next & ~passing
    if ((next & passing) === 0) return outcomes
  }
  return outcomes | passing
}

function opposite(outcomes: number): number {
  return (outcomes & ERROR) | (outcomes & TRUE ? FALSE : 0) | (outcomes & FALSE ? TRUE : 0)
}

function known(node: unknown, environment: Environment): number {
  try {
    const outcome = compileExpression(node).run(environment)
    return outcome === true ? TRUE : outcome === false ? FALSE : ERROR
  } catch (error) {
    if (error === UNKNOWN) return ANY
    throw error
  }
}
