import type { Value, ValueRecord } from '#model/value.ts'
import type { Evaluate } from '#policy/port.ts'
import { type FuzzPolicies, type FuzzPolicy, type FuzzRequest, policyText } from './case-set.ts'
import { difference, queries, Refused, reference, releaseOf } from './compare.ts'
import { type CaseEntity, explicitEntities, explicitRecord } from './facts.ts'
import { literal, type Node } from './node.ts'

/** One request against some policies and entities. */
export interface FuzzCase extends FuzzPolicies {
  readonly entities: readonly CaseEntity[]
  readonly request: FuzzRequest
}

/** A difference, as small as it gets, in the file format of the public integration tests. */
export interface Report {
  readonly from: string
  readonly difference: string
  /** Ready to paste: policies.cedar, entities.json, schema.json and test.json. */
  readonly files: { readonly [name: string]: string }
}

/** Attempts to make a case smaller; each is a preparation and an evaluation of about a millisecond. */
const ATTEMPTS_MAX = 1_500

/** Takes away and simplifies whatever the difference does not need. */
export async function shrink(evaluate: Evaluate, whole: FuzzCase, from: string): Promise<Report> {
  let best = await onePolicy(evaluate, whole)
  let attempts = 0
  for (let progress = true; progress; ) {
    progress = false
    for (const smaller of smallerCases(best)) {
      attempts += 1
      if (attempts > ATTEMPTS_MAX) break
      if ((await differs(evaluate, smaller)) === undefined) continue
      best = smaller
      progress = true
      break
    }
  }
  return {
    from,
    difference: (await differs(evaluate, best)) ?? 'it did not happen again',
    files: filesOf(best, from),
  }
}

/** The case with a single policy that still differs, where there is one: the outcomes of policies hang on nothing else. */
async function onePolicy(evaluate: Evaluate, each: FuzzCase): Promise<FuzzCase> {
  for (const policy of each.policies) {
    const alone = { ...each, policies: [policy] }
    if ((await differs(evaluate, alone)) !== undefined) return alone
  }
  return each
}

async function differs(evaluate: Evaluate, each: FuzzCase): Promise<string | undefined> {
  try {
    const expected = reference(each)(each.entities)(each.request)
    const [actual] = evaluate(await releaseOf(each), [queries(each, each.entities)(each.request)])
    return difference(expected, actual)
  } catch (error) {
    // A smaller case that the reference refuses says nothing.
    if (error instanceof Refused) return undefined
    throw error
  }
}

function* smallerCases(each: FuzzCase): Generator<FuzzCase> {
  if (each.schema !== undefined) yield { ...each, schema: undefined }
  for (const [i, policy] of each.policies.entries())
    for (const smaller of smallerPolicies(policy)) yield { ...each, policies: each.policies.with(i, smaller) }
  for (const policies of without(each.policies)) if (policies.length > 0) yield { ...each, policies }
  for (const entities of without(each.entities)) yield { ...each, entities }
  for (const actions of without(each.actions)) yield { ...each, actions }
  for (const context of smallerFields(each.request.context))
    yield { ...each, request: { ...each.request, context } }
  for (const [i, entity] of each.entities.entries())
    for (const smaller of smallerEntities(entity)) yield { ...each, entities: each.entities.with(i, smaller) }
}

/** A list without its items, with one half, and with one less. */
function* without<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  if (items.length > 1) yield []
  if (items.length > 3) {
    yield items.slice(0, items.length / 2)
    yield items.slice(items.length / 2)
  }
  for (let i = 0; i < items.length; i += 1) yield items.toSpliced(i, 1)
}

function* smallerPolicies(policy: FuzzPolicy): Generator<FuzzPolicy> {
  for (const conditions of without(policy.conditions)) yield { ...policy, conditions }
  for (const side of ['principal', 'action', 'resource'] as const)
    if (policy[side] !== side) yield { ...policy, [side]: side }
  for (const [i, { kind, body }] of policy.conditions.entries())
    for (const smaller of smallerNodes(body))
      yield { ...policy, conditions: policy.conditions.with(i, { kind, body: smaller }) }
}

const SIMPLE: readonly Node[] = ['true', 'false', '0', '1', '""'].map(literal)

function* smallerNodes(node: Node): Generator<Node> {
  yield* node.args
  if (node.args.length > 0) yield* SIMPLE
  if (node.op === 'set') for (const args of without(node.args)) yield { ...node, args }
  if (node.op === 'record')
    for (let i = 0; i < node.args.length; i += 1)
      yield { ...node, args: node.args.toSpliced(i, 1), keys: (node.keys ?? []).toSpliced(i, 1) }
  for (const [i, arg] of node.args.entries())
    for (const smaller of smallerNodes(arg)) yield { ...node, args: node.args.with(i, smaller) }
}

function* smallerEntities(entity: CaseEntity): Generator<CaseEntity> {
  for (const parents of without(entity.parents)) yield { ...entity, parents }
  for (const attrs of smallerFields(entity.attrs)) yield { ...entity, attrs }
  for (const tags of smallerFields(entity.tags)) yield { ...entity, tags }
}

function* smallerFields(fields: ValueRecord): Generator<ValueRecord> {
  for (const entries of without([...fields])) yield new Map(entries)
  for (const [name, value] of fields)
    for (const smaller of smallerValues(value)) yield new Map(fields).set(name, smaller)
}

function* smallerValues(value: Value): Generator<Value> {
  if (typeof value !== 'object') return
  if (value.kind === 'set') for (const elements of without(value.elements)) yield { kind: 'set', elements }
  if (value.kind === 'record')
    for (const fields of smallerFields(value.fields)) yield { kind: 'record', fields }
}

function filesOf(each: FuzzCase, description: string): Report['files'] {
  const { satisfied, errored } = reference(each)(each.entities)(each.request)
  const allows = satisfied.some((id) => each.policies.find((policy) => policy.id === id)?.effect === 'permit')
  const { principal, action, resource, context } = each.request
  const request = {
    description,
    principal,
    action,
    resource,
    context: explicitRecord(context),
    ...(each.schema === undefined && { validateRequest: false }),
    decision: allows ? 'allow' : 'deny',
    reason: satisfied,
    errors: errored,
  }
  return {
    'policies.cedar': `${each.policies.map(policyText).join('\n')}\n`,
    'entities.json': JSON.stringify(explicitEntities(each, each.entities)),
    ...(each.schema !== undefined && { 'schema.json': JSON.stringify(each.schema) }),
    'test.json': JSON.stringify({
      policies: 'policies.cedar',
      entities: 'entities.json',
      ...(each.schema !== undefined && { schema: 'schema.json' }),
      requests: [request],
    }),
  }
}

/** A report as text. */
export function reportText({ from, difference: what, files }: Report): string {
  const parts = Object.entries(files).map(([name, text]) => `--- ${name}\n${text.trimEnd()}`)
  return [`${from}\n${what}`, ...parts].join('\n')
}
