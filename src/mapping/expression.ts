import { type ASTNode, Environment, Optional, type ParseResult } from '@marcbachmann/cel-js'
import { failed, type Result, success } from '#lib/result.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { objectionToNode } from './language.ts'
import { NO_READS, type Reads, readsOf, unite } from './reads.ts'

/** Most characters of one expression. */
const LENGTH_MAX = 1_024
const LIMITS = { maxAstNodes: 128, maxDepth: 24, maxListElements: 32, maxMapEntries: 32, maxCallArguments: 4 }
/** Deepest list or object that an expression may give. */
const DEPTH_MAX = 16

/** What expressions read: the parameters of the call, and the claims of its verified token. */
export interface Inputs {
  readonly params: JsonObject
  /** Undefined: no token was verified, so every expression that reads it fails. */
  readonly token: JsonObject | undefined
}

/** An expression of the Common Expression Language, compiled. */
export interface Expression {
  readonly reads: Reads
  /** The value; undefined when it is an absent optional. The failure says which expression, and holds no value of the call. */
  evaluate(inputs: Inputs): Result<Json | undefined, string>
}

const environment = new Environment({ enableOptionalTypes: true, limits: LIMITS })
  .registerVariable('params', 'map')
  .registerVariable('token', 'map')

/**
 * Compiles one expression over `params` and `token`.
 *
 * INVARIANT: nothing loops over the inputs (language.ts), so an expression takes at most one step for each of its nodes, and no
 * step takes longer than to look at the inputs once, whatever a caller sends.
 *
 * @see https://cel.dev, and AuthZEN COAZ-MCP Draft 1, section "Expressions and Literals"
 */
export function compileExpression(text: string): Result<Expression, string> {
  if (text.length > LENGTH_MAX) return failed(`an expression may have ${LENGTH_MAX} characters`)
  const parsed = parse(text)
  if (!parsed.ok) return parsed
  const { ast } = parsed.value
  const objection = objectionToNode(ast)
  if (objection !== undefined) return failed(objection)
  const checked = parsed.value.check()
  if (!checked.valid) return failed(firstLine(checked.error))
  const reads = readsOf(ast)
  return success({ reads, evaluate: (inputs) => evaluate(parsed.value, reads, text, inputs) })
}

/** Everything that several expressions read. */
export function readsOfAll(expressions: readonly Expression[]): Reads {
  return expressions.reduce((all, { reads }) => unite(all, reads), NO_READS)
}

function parse(text: string): Result<ParseResult & { readonly ast: ASTNode }, string> {
  try {
    return success(environment.parse(text))
  } catch (error) {
    return failed(firstLine(error))
  }
}

/** INVARIANT: whatever goes wrong is a failure, never a value; the library's message is dropped, because it can hold the call's. */
function evaluate(
  expression: ParseResult,
  reads: Reads,
  text: string,
  { params, token }: Inputs,
): Result<Json | undefined, string> {
  const wrong = failed(`\`$${text}\` has no value for this call`)
  if (reads.token && token === undefined) return wrong
  try {
    const value: unknown = expression({ params, token: token ?? {} })
    const found = value instanceof Optional ? (value.hasValue() ? value.value() : undefined) : value
    return found === undefined ? success(undefined) : success(toJson(found, DEPTH_MAX))
  } catch {
    return wrong
  }
}

/** @throws for what JSON or a policy has no word for */
function toJson(value: unknown, depth: number): Json {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value)
  if (depth === 0 || typeof value !== 'object' || value === null) throw new TypeError('no JSON')
  if (Array.isArray(value)) return value.map((item: unknown) => toJson(item, depth - 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('no JSON')
  const members = Object.entries(value).map(([name, member]: [string, unknown]): [string, Json] => {
    if (name.startsWith('__')) throw new TypeError('a reserved name')
    return [name, toJson(member, depth - 1)]
  })
  return Object.fromEntries(members)
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''
  return `the expression can not be read: ${message.slice(0, 200)}`
}
