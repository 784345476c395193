import type { Expr } from '@cedar-policy/cedar-wasm/nodejs'
import type { ReadNode, SchemaAttributes, SchemaModel, SchemaType } from '#model/release.ts'
import { type CompiledPolicy, expressionsOf } from './policy-record.ts'

/** One way in which the condition of a policy could fail at run time although it validates. */
export interface MayFail {
  readonly message: string
  readonly help?: string
}

const ARITHMETIC = ['+', '-', '*', 'neg']
const CONSTRUCTORS = ['ip', 'decimal', 'datetime', 'duration']

/**
 * How the condition of a policy could fail at run time, beyond what strict validation finds (optional attributes that
 * are read without `has`).
 */
export function mayFail({ json, record }: CompiledPolicy, schema: SchemaModel): readonly MayFail[] {
  const found = operationsThatMayFail({ json })
  if (record === undefined || !readsBehindEntity(record.reads, schema)) return found
  return [
    ...found,
    {
      message: 'an attribute is read from an entity that another entity or the context refers to',
      help: 'that entity may not exist; compare it as a whole, or use a fact of the context',
    },
  ]
}

/** The part of `mayFail` that needs no schema: arithmetic, and texts that are read as another type. */
export function operationsThatMayFail({ json }: Pick<CompiledPolicy, 'json'>): readonly MayFail[] {
  return [...expressionsOf(json)].map(operation).filter((problem) => problem !== undefined)
}

function operation(expression: Expr): MayFail | undefined {
  const [operator, operand] = Object.entries(expression)[0] ?? ['', undefined]
  if (ARITHMETIC.includes(operator)) return { message: 'arithmetic can overflow' }
  if (CONSTRUCTORS.includes(operator) && Array.isArray(operand) && !operand.every(isLiteral))
    return { message: `\`${operator}()\` fails on a text that it can not read` }
  return undefined
}

function isLiteral(expression: unknown): boolean {
  return typeof expression === 'object' && expression !== null && 'Value' in expression
}

function readsBehindEntity(
  { principal, resource, action, context, entities }: NonNullable<CompiledPolicy['record']>['reads'],
  schema: SchemaModel,
): boolean {
  const types = Object.values(schema.entityTypes)
  const contexts = schema.actions.map((declared) => declared.context)
  return (
    [principal, resource, action, ...entities.map((entity) => entity.node)].some((node) =>
      types.some((type) => followsEntity(node, type.attrs)),
    ) || contexts.some((attrs) => followsEntity(context, attrs))
  )
}

/** Whether an attribute that holds an entity is itself looked into. */
function followsEntity(node: ReadNode | undefined, attrs: SchemaAttributes): boolean {
  if (node === undefined) return false
  return Object.entries(node.attrs).some(([name, child]) => {
    const type: SchemaType | undefined = Object.hasOwn(attrs, name) ? attrs[name]?.type : undefined
    if (type?.kind === 'record') return followsEntity(child, type.attrs)
    return type?.kind === 'entity' && (child.tags || Object.keys(child.attrs).length > 0)
  })
}
