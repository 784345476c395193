import type { EntityUid } from '#model/value.ts'
import { attribute, getTag, hasAttributes, hasTag, isInside, isOfType } from './access.ts'
import { extensionCall } from './calls.ts'
import { LONG } from './conditions.ts'
import { constant, type Expression, type Run, Unsupported } from './expression.ts'
import { compilePattern, type Pattern } from './like.ts'
import { parseLong } from './long.ts'
import { and, BINARY, binary, choice, isEmpty, negative, not, or } from './operators.ts'
import type { RuntimeValue } from './value.ts'

/** One `when` or `unless` of a policy, in Cedar's JSON form. */
interface Clause {
  readonly kind: 'when' | 'unless'
  readonly body: unknown
}

/**
 * Compiles the conditions of a policy (`conditionsText`) into one boolean expression: every `when` and no `unless`, in
 * their order. What it gives that is not a boolean counts as an error.
 *
 * @throws Unsupported for anything that is not Cedar's JSON form as of language 4.5
 */
export function compileConditions(text: string): Run {
  const terms = clausesOf(text).map(({ kind, body }) => {
    const { run } = compileExpression(body)
    return kind === 'unless' ? not(run) : run
  })
  return and(terms)
}

/** The clauses of stored conditions. @throws Unsupported */
export function clausesOf(text: string): readonly Clause[] {
  const clauses: unknown = JSON.parse(text)
  if (!Array.isArray(clauses)) throw new Unsupported('conditions that are no list')
  return clauses.map((clause: unknown) => {
    const { kind, body } = objectOf(clause)
    if (kind !== 'when' && kind !== 'unless') throw new Unsupported('a condition of another kind')
    return { kind, body }
  })
}

/** Compiles one expression of Cedar's JSON form. @throws Unsupported */
export function compileExpression(node: unknown): Expression {
  const [name, operand] = nodeOf(node)
  const build = NODES.get(name)
  if (build !== undefined) return build(operand)
  const operator = BINARY.get(name)
  if (operator !== undefined) {
    const { left, right } = objectOf(operand)
    return { run: binary(operator, runOf(left), runOf(right)) }
  }
  const call = Array.isArray(operand) ? extensionCall(name, operand.map(compileExpression)) : undefined
  if (call === undefined) throw new Unsupported(`\`${name}\``)
  return call
}

type Build = (operand: unknown) => Expression

const unary =
  (make: (of: Run) => Run): Build =>
  (operand) => ({ run: make(runOf(objectOf(operand)['arg'])) })

const tagged =
  (make: (of: Run, name: Run) => Run): Build =>
  (operand) => {
    const { left, right } = objectOf(operand)
    return { run: make(runOf(left), runOf(right)) }
  }

const chained =
  (name: '&&' | '||', make: (terms: readonly Run[]) => Run): Build =>
  (operand) => ({ run: make(operandsOf({ [name]: operand }, name).map(runOf)) })

const NODES: ReadonlyMap<string, Build> = new Map<string, Build>([
  ['Value', (value) => constant(literal(value))],
  [LONG, (digits) => constant(longLiteral(digits))],
  ['Var', variable],
  ['!', unary(not)],
  ['neg', unary(negative)],
  ['isEmpty', unary(isEmpty)],
  ['&&', chained('&&', and)],
  ['||', chained('||', or)],
  ['getTag', tagged(getTag)],
  ['hasTag', tagged(hasTag)],
  ['.', path],
  ['has', has],
  ['in', inside],
  ['is', ofType],
  ['like', like],
  ['if-then-else', conditional],
  ['Set', setLiteral],
  ['Record', recordLiteral],
])

function runOf(node: unknown): Run {
  return compileExpression(node).run
}

function variable(name: unknown): Expression {
  switch (name) {
    case 'principal':
      return { run: (environment) => environment.principal }
    case 'action':
      return { run: (environment) => environment.action }
    case 'resource':
      return { run: (environment) => environment.resource }
    case 'context':
      return { run: (environment) => environment.context }
    default:
      throw new Unsupported('another variable')
  }
}

/** The operands of a chain of one operator in their order, through chains on either side; the node itself if it is none. */
export function operandsOf(node: unknown, name: '&&' | '||'): readonly unknown[] {
  const operands: unknown[] = []
  const open: unknown[] = [node]
  while (open.length > 0) {
    const next = open.pop()
    const [kind, operand] = nodeOf(next)
    if (kind === name) {
      const { left, right } = objectOf(operand)
      open.push(right, left)
    } else operands.push(next)
  }
  return operands
}

/** `a.b.c`, however long, as one step. */
function path(operand: unknown): Expression {
  const names: string[] = []
  let at = objectOf(operand)
  for (;;) {
    names.push(textOf(at['attr']))
    const [inner, innerOperand] = nodeOf(at['left'])
    if (inner !== '.') return { run: attribute(runOf(at['left']), names.reverse()) }
    at = objectOf(innerOperand)
  }
}

function has(operand: unknown): Expression {
  const { left, attr } = objectOf(operand)
  const names = Array.isArray(attr) ? attr.map(textOf) : [textOf(attr)]
  if (names.length === 0) throw new Unsupported('`has` without a name')
  return { run: hasAttributes(runOf(left), names) }
}

function inside(operand: unknown): Expression {
  const { left, right } = objectOf(operand)
  return { run: isInside(runOf(left), compileExpression(right)) }
}

function ofType(operand: unknown): Expression {
  const { left, entity_type: type, in: within } = objectOf(operand)
  const inner = within === undefined ? undefined : compileExpression(within)
  return { run: isOfType(runOf(left), textOf(type), inner) }
}

function like(operand: unknown): Expression {
  const { left, pattern } = objectOf(operand)
  if (!Array.isArray(pattern)) throw new Unsupported('a pattern that is no list')
  const parts: Pattern = pattern.map((part: unknown) =>
    part === 'Wildcard' ? null : textOf(objectOf(part)['Literal']),
  )
  const [of, matches] = [runOf(left), compilePattern(parts)]
  return {
    run: (environment) => {
      const text = of(environment)
      return typeof text === 'string' ? matches(text) : undefined
    },
  }
}

function conditional(operand: unknown): Expression {
  const { if: test, then, else: otherwise } = objectOf(operand)
  return { run: choice(runOf(test), runOf(then), runOf(otherwise)) }
}

function setLiteral(operand: unknown): Expression {
  if (!Array.isArray(operand)) throw new Unsupported('a set that is no list')
  const elements = operand.map(compileExpression)
  const fixed = elements.flatMap((element) => element.constant ?? [])
  if (fixed.length === elements.length) return constant({ kind: 'set', elements: fixed })
  return {
    run: (environment) => {
      const values: RuntimeValue[] = []
      for (const { run } of elements) {
        const value = run(environment)
        if (value === undefined) return undefined
        values.push(value)
      }
      return { kind: 'set', elements: values }
    },
  }
}

function recordLiteral(operand: unknown): Expression {
  const fields = Object.entries(objectOf(operand)).map(
    ([name, node]) => [name, compileExpression(node)] as const,
  )
  return {
    run: (environment) => {
      const values = new Map<string, RuntimeValue>()
      for (const [name, { run }] of fields) {
        const value = run(environment)
        if (value === undefined) return undefined
        values.set(name, value)
      }
      return { kind: 'record', fields: values }
    },
  }
}

function literal(value: unknown): RuntimeValue {
  if (typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  const object = objectOf(value)
  if ('__entity' in object) return { kind: 'entity', uid: uidOf(object['__entity']) }
  throw new Unsupported('a literal of another form')
}

function longLiteral(digits: unknown): RuntimeValue {
  const value = typeof digits === 'string' ? parseLong(digits) : undefined
  if (value === undefined) throw new Unsupported('an integer of more than 64 bits')
  return value
}

function uidOf(json: unknown): EntityUid {
  const { type, id } = objectOf(json)
  return { type: textOf(type), id: textOf(id) }
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Unsupported('a name that is no text')
  return value
}

/** An expression has exactly one key, its kind. */
function nodeOf(node: unknown): readonly [string, unknown] {
  const [entry, ...rest] = Object.entries(objectOf(node))
  if (entry === undefined || rest.length > 0) throw new Unsupported('an expression without one kind')
  return entry
}

/** A JSON object. @throws Unsupported for anything else. */
export function objectOf(value: unknown): { readonly [key: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Unsupported('an expression of another form')
  return value as { readonly [key: string]: unknown }
}
