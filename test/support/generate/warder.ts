import type { StoredEntity } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { EntityUid, JsonObject } from '#model/value.ts'
import { releaseOfTexts } from '../policy-records.ts'
import { createRandom, type Random } from './random.ts'

/** A tenant in Warder's vocabulary with a handful of everything, and policies that name it in every form of scope. */
export interface WarderTenant {
  readonly release: Release
  readonly entities: readonly StoredEntity[]
}

/** Ids of what every generated tenant has. */
export const AGENTS: readonly string[] = ['a0', 'a1', 'a2', 'a3']
/** As above. */
export const USERS: readonly string[] = ['u0', 'u1']
/** As above; the last one is registered as an action alone. */
export const TOOLS: readonly string[] = ['s/t0', 's/t1', 's/t2']
/** As above; the last two are of a kind of their own. */
export const RESOURCES: readonly string[] = ['r0', 'r1', 'kind:k0', 'kind:k1']

const uid = (type: string, id: string): EntityUid => ({ type: `Warder::${type}`, id })

/** The tenant of a seed, called `name`. Whether an entity is registered as a member of the tenant is left to chance. */
export async function generateWarderTenant(seed: number, name: string): Promise<WarderTenant> {
  const random = createRandom(seed)
  const texts = Array.from({ length: 3 + random.int(6) }, (_, at) => `@id("p${at}") ${policy(random, name)}`)
  const release = await releaseOfTexts(texts, `sha256:warder-${seed}`)
  return { release: { ...release, vocabulary: 'warder' }, entities: entitiesOf(random, name) }
}

function entitiesOf(random: Random, name: string): readonly StoredEntity[] {
  const entity = (
    type: string,
    id: string,
    attrs: JsonObject,
    groups: readonly EntityUid[],
  ): StoredEntity => ({
    uid: uid(type, id),
    attrs,
    tags: {},
    parents: random.some([...groups, uid('Tenant', name)], 0.5),
  })
  const teams = [uid('Group', 'g0'), uid('Group', 'g1')]
  const status = () => (random.chance(0.15) ? 'suspended' : 'active')
  return [
    ...AGENTS.map((id) =>
      entity('Agent', id, { status: status(), environment: random.pick(['any', 'test']) }, teams),
    ),
    ...USERS.map((id) => entity('User', id, { status: status() }, teams)),
    ...TOOLS.slice(0, 2).map((id) => entity('Tool', id, { riskTier: random.pick(['low', 'high']) }, [])),
    ...TOOLS.slice(1).map((id) => ({
      uid: uid('Action', id),
      attrs: {},
      tags: {},
      parents: [uid('Action', random.pick(['readTools', 'writeTools']))],
    })),
    ...RESOURCES.map((id) =>
      entity('Resource', id, { sensitivity: random.int(4) }, id === 'r0' ? [] : [uid('Resource', 'r0')]),
    ),
  ]
}

function policy(random: Random, name: string): string {
  const own = `Warder::Tenant::"${name}"`
  const agent = `Warder::Agent::"${random.pick(AGENTS)}"`
  const resource = `Warder::Resource::"${random.pick(RESOURCES)}"`
  const tool = random.pick(TOOLS)
  const principals = [
    '',
    '',
    'is Warder::Agent',
    'is Warder::User',
    `== ${agent}`,
    `== Warder::User::"${random.pick(USERS)}"`,
    'in Warder::Group::"g0"',
    `in ${own}`,
  ]
  const actions = [
    '',
    '',
    `== Warder::Action::"${tool}"`,
    'in Warder::Action::"readTools"',
    'in Warder::Action::"destructiveTools"',
  ]
  const resources = [
    '',
    '',
    '',
    `== ${resource}`,
    'in Warder::Resource::"r0"',
    'is Warder::Resource',
    `== Warder::Tool::"${tool}"`,
    `in ${own}`,
  ]
  const conditions = [
    '',
    '',
    'when { resource.sensitivity < 2 }',
    'when { principal.environment == "any" }',
    `when { ${resource}.sensitivity == 1 }`,
    `unless { principal == ${agent} }`,
    `when { principal in ${own} && ${agent} in ${own} }`,
    'when { context.tool.riskTier == "low" }',
    'when { context.autonomous || context.risk.score < 50 }',
    'when { action in Warder::Action::"readTools" }',
  ]
  const scope = `principal ${random.pick(principals)}, action ${random.pick(actions)}, resource ${random.pick(resources)}`
  return `${random.chance(0.75) ? 'permit' : 'forbid'}(${scope}) ${random.pick(conditions)};`
}
