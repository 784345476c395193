import type { EntityUid } from '#model/value.ts'
import { booleanExpression, type Env, uidText } from './expressions.ts'
import type { GenFacts } from './facts.ts'
import type { Random } from './random.ts'
import type { GenSchema } from './schema.ts'

/** Policy texts by id: permits and forbids with every form of scope and every operator, some of which must error. */
export function generatePolicies(
  random: Random,
  schema: GenSchema,
  facts: GenFacts,
): ReadonlyMap<string, string> {
  const count = 2 + random.int(14)
  return new Map(
    Array.from({ length: count }, (_, i) => [
      `policy-${i}`,
      `@id("policy-${i}")\n${generatePolicy(random, schema, facts)}`,
    ]),
  )
}

function generatePolicy(random: Random, schema: GenSchema, facts: GenFacts): string {
  const action = random.pick(schema.actions.filter((each) => each.principals.length > 0))
  const env: Env = {
    random,
    schema,
    pool: facts.pool,
    principal: random.pick(action.principals),
    resource: random.pick(action.resources),
    action,
  }
  const effect = random.chance(0.55) ? 'permit' : 'forbid'
  const scope = [
    partyScope(env, 'principal', env.principal),
    actionScope(env),
    partyScope(env, 'resource', env.resource),
  ].join(', ')
  const conditions = Array.from(
    { length: random.pick([0, 1, 1, 1, 2]) },
    () => `${random.chance(0.7) ? 'when' : 'unless'} { ${booleanExpression(env, 3)} }`,
  )
  return `${effect}(${scope}) ${conditions.join(' ')};`
}

function partyScope(env: Env, name: string, type: string): string {
  const { random, pool } = env
  const own = random.pick(pool.get(type) ?? [])
  const any = random.pick([...pool.values()].flat())
  return random.pick([
    name,
    name,
    `${name} == ${uidText(own)}`,
    `${name} in ${uidText(any)}`,
    `${name} in ${uidText(own)}`,
    `${name} is ${type}`,
    `${name} is ${type}`,
    `${name} is ${type} in ${uidText(any)}`,
  ])
}

function actionScope({ random, schema, action }: Env): string {
  const groups: readonly EntityUid[] = action.ancestors.length > 0 ? action.ancestors : [action.uid]
  const listed = random.some(
    schema.actions.map((each) => uidText(each.uid)),
    0.4,
  )
  return random.pick([
    'action',
    `action == ${uidText(action.uid)}`,
    `action in ${uidText(random.pick(groups))}`,
    `action in ${uidText(random.pick(groups))}`,
    `action in [${listed.join(', ')}]`,
  ])
}
