import { failed, type Result, success } from '#lib/result.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { compileExpression, type Expression, type Inputs } from './expression.ts'

/** JSON in which texts that begin with `$` are expressions; `$$` stands for a text that begins with `$`. */
export type Template =
  | { readonly kind: 'literal'; readonly value: Json }
  | { readonly kind: 'expression'; readonly expression: Expression }
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, Template])[] }
  | { readonly kind: 'list'; readonly items: readonly Template[] }

/** Deepest nesting of a template. */
const DEPTH_MAX = 8

/** Compiles a value of a mapping. The failure names the place. */
export function compileTemplate(value: Json, path: string, depth = DEPTH_MAX): Result<Template, string> {
  if (value === null) return failed(`\`${path}\`: null has no meaning here; leave it out`)
  if (typeof value === 'string') return compileText(value, path)
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    return failed(`\`${path}\`: a number must be whole`)
  if (typeof value !== 'object') return success({ kind: 'literal', value })
  if (depth === 0) return failed(`\`${path}\`: nested more than ${DEPTH_MAX} deep`)
  return isList(value) ? compileList(value, path, depth - 1) : compileObject(value, path, depth - 1)
}

/** Every expression in it. */
export function expressionsIn(template: Template): readonly Expression[] {
  switch (template.kind) {
    case 'literal':
      return []
    case 'expression':
      return [template.expression]
    case 'object':
      return template.members.flatMap(([, member]) => expressionsIn(member))
    case 'list':
      return template.items.flatMap(expressionsIn)
  }
}

/** The value for one call; undefined when it is absent, which leaves a member out. An absent item of a list is a failure. */
export function render(template: Template, inputs: Inputs): Result<Json | undefined, string> {
  switch (template.kind) {
    case 'literal':
      return success(template.value)
    case 'expression':
      return template.expression.evaluate(inputs)
    case 'object':
      return renderObject(template.members, inputs)
    case 'list':
      return renderList(template.items, inputs)
  }
}

function compileText(text: string, path: string): Result<Template, string> {
  if (!text.startsWith('$')) return success({ kind: 'literal', value: text })
  if (text.startsWith('$$')) return success({ kind: 'literal', value: text.slice(1) })
  const expression = compileExpression(text.slice(1))
  return expression.ok
    ? success({ kind: 'expression', expression: expression.value })
    : failed(`\`${path}\`: ${expression.failure}`)
}

function compileList(list: readonly Json[], path: string, depth: number): Result<Template, string> {
  const items: Template[] = []
  for (const [i, item] of list.entries()) {
    const compiled = compileTemplate(item, `${path}[${i}]`, depth)
    if (!compiled.ok) return compiled
    items.push(compiled.value)
  }
  return success({ kind: 'list', items })
}

function compileObject(object: JsonObject, path: string, depth: number): Result<Template, string> {
  const members: (readonly [string, Template])[] = []
  for (const [name, member] of Object.entries(object)) {
    if (name.startsWith('__')) return failed(`\`${path}\`: names that begin with \`__\` are reserved`)
    const compiled = compileTemplate(member, `${path}.${name}`, depth)
    if (!compiled.ok) return compiled
    members.push([name, compiled.value])
  }
  return success({ kind: 'object', members })
}

function renderObject(
  members: readonly (readonly [string, Template])[],
  inputs: Inputs,
): Result<JsonObject, string> {
  const found: [string, Json][] = []
  for (const [name, member] of members) {
    const value = render(member, inputs)
    if (!value.ok) return value
    if (value.value !== undefined) found.push([name, value.value])
  }
  return success(Object.fromEntries(found))
}

function renderList(items: readonly Template[], inputs: Inputs): Result<readonly Json[], string> {
  const found: Json[] = []
  for (const item of items) {
    const value = render(item, inputs)
    if (!value.ok) return value
    if (value.value === undefined) return failed('an item of a list is absent')
    found.push(value.value)
  }
  return success(found)
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value)
}
