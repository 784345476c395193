import type { EntityUid, ValueRecord } from '#model/value.ts'
import { createRandom, type Random } from '../generate/random.ts'
import { type GenAction, type GenSchema, generateSchema } from '../generate/schema.ts'
import { direct } from './direct.ts'
import { boolean, type Env } from './expressions.ts'
import { type CaseEntity, generateEntities, generateFields, generateUids } from './facts.ts'
import { type Node, print, quote, uidText } from './node.ts'

/** One generated policy, in parts that can be taken away one by one. */
export interface FuzzPolicy {
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly principal: string
  readonly action: string
  readonly resource: string
  readonly conditions: readonly { readonly kind: 'when' | 'unless'; readonly body: Node }[]
}

/** A generated request. */
export interface FuzzRequest {
  readonly principal: EntityUid
  readonly action: EntityUid
  readonly resource: EntityUid
  readonly context: ValueRecord
}

/** Entities that several requests are asked about. */
export interface FuzzWorld {
  readonly entities: readonly CaseEntity[]
  readonly requests: readonly FuzzRequest[]
}

/** What engines prepare once: policies, and the schema that they may be for. */
export interface FuzzPolicies {
  /** In Cedar's JSON form. Undefined: nothing is validated, neither entities nor requests. */
  readonly schema: object | undefined
  /** Actions with their groups. A schema declares them; without one they are entities like others. */
  readonly actions: readonly CaseEntity[]
  readonly policies: readonly FuzzPolicy[]
}

/** Policies that are asked about in several worlds, each with entities of its own. */
export interface FuzzSet extends FuzzPolicies {
  readonly worlds: readonly FuzzWorld[]
}

const DEPTH = 3
const REQUESTS_PER_WORLD = 10

/** Requests per set: preparing policies and schema is then a small part of the work. */
export const REQUESTS_PER_SET = 50

/** The set of a seed. In most sets all policies have one effect, so that the outcome of each of them can be seen. */
export function generateSet(seed: number): FuzzSet {
  const random = createRandom(seed)
  const schema = generateSchema(random)
  const loose = random.chance(0.4)
  const uids = generateUids(random, schema)
  const focus = focusOf(random, schema)
  const effects = random.pick([['permit'], ['permit'], ['forbid'], ['permit', 'forbid']] as const)
  const policies = Array.from({ length: 10 + random.int(15) }, (_, i) => {
    const at = random.chance(0.8) ? focus : focusOf(random, schema)
    return generatePolicy({ random, schema, uids, ...at }, `policy${i}`, random.pick([...effects]))
  })
  const worlds = Array.from({ length: REQUESTS_PER_SET / REQUESTS_PER_WORLD }, () => ({
    entities: generateEntities(random, schema, uids, loose),
    requests: Array.from({ length: REQUESTS_PER_WORLD }, () =>
      generateRequest(random, uids, random.chance(0.8) ? focus : focusOf(random, schema), loose),
    ),
  }))
  return {
    schema: loose ? undefined : schema.json,
    actions: schema.actions.map(actionEntity),
    policies,
    worlds,
  }
}

interface Focus {
  readonly action: GenAction
  readonly principal: string
  readonly resource: string
}

function focusOf(random: Random, schema: GenSchema): Focus {
  const action = random.pick(schema.actions.filter((each) => each.principals.length > 0))
  return { action, principal: random.pick(action.principals), resource: random.pick(action.resources) }
}

function actionEntity({ uid, parents }: GenAction): CaseEntity {
  return { uid, attrs: new Map(), tags: new Map(), parents }
}

function generateRequest(
  random: Random,
  uids: readonly EntityUid[],
  { action, principal, resource }: Focus,
  loose: boolean,
): FuzzRequest {
  const ofType = (type: string): EntityUid => {
    const known = random.pick(uids.filter((uid) => uid.type === type))
    return random.chance(0.06) ? { type, id: 'nobody' } : known
  }
  return {
    principal: ofType(principal),
    action: action.uid,
    resource: ofType(resource),
    context: generateFields(random, action.context, uids, loose),
  }
}

function generatePolicy(env: Env, id: string, effect: FuzzPolicy['effect']): FuzzPolicy {
  const { random, action, schema } = env
  const groups = action.ancestors.length > 0 ? action.ancestors : [action.uid]
  const listed = random.some(schema.actions, 0.4).map((each) => uidText(each.uid))
  return {
    id,
    effect,
    principal: random.chance(0.6) ? 'principal' : partyScope(env, 'principal', env.principal),
    action: random.chance(0.6)
      ? 'action'
      : random.pick([
          `action == ${uidText(action.uid)}`,
          `action in ${uidText(random.pick(groups))}`,
          `action in [${[...listed, uidText(random.pick(groups))].join(', ')}]`,
        ]),
    resource: random.chance(0.6) ? 'resource' : partyScope(env, 'resource', env.resource),
    conditions: Array.from({ length: random.pick([1, 1, 1, 1, 1, 2, 0]) }, () => ({
      kind: random.chance(0.85) ? ('when' as const) : ('unless' as const),
      body: random.chance(0.35) ? direct(env) : boolean(env, DEPTH),
    })),
  }
}

function partyScope({ random, uids }: Env, name: string, type: string): string {
  const own = random.pick(uids.filter((uid) => uid.type === type))
  const any = random.pick(uids)
  return random.pick([
    `${name} == ${uidText(own)}`,
    `${name} in ${uidText(any)}`,
    `${name} in ${uidText(own)}`,
    `${name} is ${type}`,
    `${name} is ${type} in ${uidText(any)}`,
  ])
}

/** A policy as Cedar text, with its id as annotation. */
export function policyText(policy: FuzzPolicy): string {
  const scope = `${policy.principal}, ${policy.action}, ${policy.resource}`
  const conditions = policy.conditions.map(({ kind, body }) => ` ${kind} { ${print(body)} }`)
  return `@id(${quote(policy.id)})\n${policy.effect}(${scope})${conditions.join('')};`
}
