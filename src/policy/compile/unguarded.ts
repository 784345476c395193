import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { MayFail } from './may-fail.ts'

/**
 * Attributes and tags that are read without a `has` or `hasTag` that must hold first. For policies without a schema;
 * with one, strict validation proves the same and knows which attributes are always there.
 */
export function unguardedReads(policy: PolicyJson): readonly MayFail[] {
  const walk = new Walk()
  let known: Known = new Set()
  for (const { kind, body } of policy.conditions) {
    walk.visit(body, known)
    if (kind === 'when') known = union(known, provenBy(body))
  }
  return [...walk.found].map((read) => ({
    message: `${read} is read although it may not be there`,
    help: 'test it with `has` or `hasTag` first, or add a schema that requires it',
  }))
}

/** Reads that are known to succeed. */
type Known = ReadonlySet<string>

class Walk {
  readonly found = new Set<string>()

  visit(expression: unknown, known: Known): void {
    const [operator, operand] = only(expression)
    if (operator === '&&') {
      this.visit(operand['left'], known)
      this.visit(operand['right'], union(known, provenBy(operand['left'])))
    } else if (operator === 'if-then-else') {
      this.visit(operand['if'], known)
      this.visit(operand['then'], union(known, provenBy(operand['if'])))
      this.visit(operand['else'], known)
    } else {
      const read = readOf(operator, operand)
      if (read !== undefined && !known.has(read.key)) this.found.add(read.name)
      for (const child of operandsOf(operand)) this.visit(child, known)
    }
  }
}

function readOf(
  operator: string,
  operand: Operand,
): { readonly key: string; readonly name: string } | undefined {
  const { left, attr, right } = operand
  if (operator === '.' && typeof attr === 'string') return { key: keyOf(left, attr), name: `\`${attr}\`` }
  return operator === 'getTag' ? { key: keyOf(left, right), name: 'a tag' } : undefined
}

/** What a true `expression` proves to be there. */
function provenBy(expression: unknown): Known {
  const [operator, { left, right, attr }] = only(expression)
  if (operator === '&&') return union(provenBy(left), provenBy(right))
  if (operator === 'hasTag') return new Set([keyOf(left, right)])
  if (operator !== 'has') return new Set()
  const proven = new Set<string>()
  let place = left
  for (const name of Array.isArray(attr) ? attr : [attr]) {
    proven.add(keyOf(place, name))
    place = { '.': { left: place, attr: name } }
  }
  return proven
}

function keyOf(place: unknown, name: unknown): string {
  return JSON.stringify([place, name])
}

function union(a: Known, b: Known): Known {
  return b.size === 0 ? a : new Set([...a, ...b])
}

interface Operand {
  readonly [name: string]: unknown
}

/** The one operator of an expression with its operands; a record literal has the operator `Record`. */
function only(expression: unknown): readonly [string, Operand] {
  if (typeof expression !== 'object' || expression === null) return ['', {}]
  const [operator = '', operand] = Object.entries(expression)[0] ?? []
  return [operator, typeof operand === 'object' && operand !== null ? (operand as Operand) : {}]
}

function operandsOf(operand: Operand): readonly unknown[] {
  return Object.values(operand).filter((value) => typeof value === 'object')
}
