import type { ASTNode } from '@marcbachmann/cel-js'

/** Functions and methods that an expression may call. Each takes time in proportion to its arguments at most. */
const CALLS: ReadonlySet<string> = new Set(['has', 'size', 'string', 'int', 'double'])
const METHODS: ReadonlySet<string> = new Set([
  'startsWith',
  'endsWith',
  'contains',
  'size',
  'hasValue',
  'value',
  'or',
  'orValue',
])

/**
 * What of an expression is not part of the language of mappings, or undefined.
 *
 * INVARIANT: no macros over lists (`map`, `exists`, ...), whose nesting multiplies; no regular expressions, whose time can explode; no
 * clock. What is not listed here is refused, so a newer version of the library adds nothing.
 */
export function objectionToNode(node: ASTNode): string | undefined {
  switch (node.op) {
    case 'value':
      return isPlain(node.args) ? undefined : 'texts, numbers, booleans and null are the only literals'
    case 'id':
      return node.args === 'params' || node.args === 'token'
        ? undefined
        : 'only `params` and `token` can be read'
    case 'call':
      return CALLS.has(node.args[0]) ? first(node.args[1]) : notCallable(node.args[0])
    case 'rcall':
      return METHODS.has(node.args[0]) ? first([node.args[1], ...node.args[2]]) : notCallable(node.args[0])
    default:
      return first(childrenOf(node))
  }
}

/** The expressions inside of an expression; names of members are none. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    case '!_':
    case '-_':
      return [node.args]
    default:
      return node.args
  }
}

function first(nodes: readonly ASTNode[]): string | undefined {
  for (const node of nodes) {
    const objection = objectionToNode(node)
    if (objection !== undefined) return objection
  }
  return undefined
}

function isPlain(value: unknown): boolean {
  return value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
}

function notCallable(name: string): string {
  return `\`${name.slice(0, 40)}\` can not be called; there are ${[...CALLS, ...METHODS].join(', ')}`
}
