import type { Expr } from '@cedar-policy/cedar-wasm/nodejs'
import type { PolicyRecord, ReadNode, SchemaAttributes, SchemaModel, SchemaType } from '#model/release.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import { type CompiledPolicy, expressionsOf } from './policy-record.ts'

const ARITHMETIC = ['+', '-', '*', 'neg']
const CONSTRUCTORS = ['ip', 'decimal', 'datetime', 'duration']

/**
 * Refuses guardrails that are not a forbid or whose condition could fail at run time although it validates: Cedar
 * skips a policy that fails. Optional attributes read without `has` are found by validation.
 */
export function lintGuardrail(policy: CompiledPolicy, schema: SchemaModel): readonly Diagnostic[] {
  const findings: Finding[] = []
  if (policy.json.effect !== 'forbid')
    findings.push({ code: 'policy.guardrail_effect', message: 'a guardrail can only forbid' })
  for (const expression of expressionsOf(policy.json)) {
    const problem = mayFail(expression)
    if (problem !== undefined) findings.push(problem)
  }
  const { record } = policy
  if (record !== undefined && readsBehindEntity(record, schema))
    findings.push({
      code: 'policy.guardrail_may_error',
      message: 'an attribute is read from an entity that another entity or the context refers to',
      help: 'that entity may not exist; compare it as a whole, or use a fact of the context',
    })
  return findings.map((finding) =>
    diagnosticAt(policy.source.file, policy.source.head, { ...finding, policy: record?.id }),
  )
}

function mayFail(expression: Expr): Finding | undefined {
  const [operator, operand] = Object.entries(expression)[0] ?? ['', undefined]
  if (ARITHMETIC.includes(operator))
    return { code: 'policy.guardrail_may_error', message: 'arithmetic can overflow' }
  if (CONSTRUCTORS.includes(operator) && Array.isArray(operand) && !operand.every(isLiteral))
    return {
      code: 'policy.guardrail_may_error',
      message: `\`${operator}()\` fails on a text that it can not read`,
    }
  return undefined
}

function isLiteral(expression: unknown): boolean {
  return typeof expression === 'object' && expression !== null && 'Value' in expression
}

function readsBehindEntity(record: PolicyRecord, schema: SchemaModel): boolean {
  const { principal, resource, action, context, entities } = record.reads
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
