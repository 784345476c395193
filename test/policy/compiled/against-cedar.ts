import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { type UidKey, uidKey, type Value, type ValueRecord } from '#model/value.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import type { EntityFacts, Query } from '#policy/port.ts'
import { releaseOfTexts } from '../../support/policy-records.ts'

/** What a condition comes to. */
export type Truth = 'true' | 'false' | 'error'

/** A request with everything that policies can see in it. */
export interface World {
  readonly entities: readonly EntityFacts[]
  readonly query: Query
}

const evaluate = createCompiledEvaluate(() => ({ kind: 'engine', detail: 'not compiled' }) as never)

/** Each condition on its own, by the compiled evaluator and by cedar-wasm with all entities. */
export async function compareWithCedar(
  conditions: readonly string[],
  world: World,
): Promise<readonly { readonly condition: string; readonly compiled: Truth; readonly cedar: Truth }[]> {
  const texts = conditions.map(
    (text, i) => `@id("p${i}") permit(principal, action, resource) when { ${text} };`,
  )
  const release = await releaseOfTexts(texts, `sha256:${Math.random()}`)
  const [answer] = evaluate(release, [world.query])
  if (answer === undefined || 'kind' in answer) throw new Error(`no evaluation: ${JSON.stringify(answer)}`)
  const expected = askCedar(texts, world)
  return conditions.map((condition, i) => ({
    condition,
    compiled: truthOf(`p${i}`, answer),
    cedar: truthOf(`p${i}`, expected),
  }))
}

function truthOf(
  id: string,
  { satisfied, errored }: { readonly satisfied: readonly string[]; readonly errored: readonly string[] },
): Truth {
  if (errored.includes(id)) return 'error'
  return satisfied.includes(id) ? 'true' : 'false'
}

function askCedar(texts: readonly string[], { entities, query }: World) {
  const staticPolicies = Object.fromEntries(texts.map((text, i) => [`p${i}`, text]))
  const answer = cedar.isAuthorized({
    principal: { ...query.principal },
    action: { ...query.action },
    resource: { ...query.resource },
    context: recordJson(query.context),
    entities: entities.map(({ uid, attrs, tags, ancestors }) => ({
      uid: { ...uid },
      attrs: recordJson(attrs),
      tags: recordJson(tags),
      parents: ancestors.map((ancestor) => ({ ...ancestor })),
    })),
    policies: { staticPolicies },
  })
  if (answer.type === 'failure') throw new Error(`the oracle refuses: ${answer.errors[0]?.message}`)
  const { reason, errors } = answer.response.diagnostics
  return { satisfied: reason, errored: errors.map((error) => error.policyId) }
}

function recordJson(fields: ValueRecord): { [name: string]: cedar.CedarValueJson } {
  return Object.fromEntries([...fields].map(([name, value]) => [name, valueJson(value)]))
}

function valueJson(value: Value): cedar.CedarValueJson {
  if (typeof value !== 'object') return value
  switch (value.kind) {
    case 'set':
      return value.elements.map(valueJson)
    case 'record':
      return recordJson(value.fields)
    case 'entity':
      return { __entity: { ...value.uid } }
    case 'extension':
      return { __extn: { fn: value.fn, arg: value.text } }
  }
}

/** The world of these entities; the query's own ones are among them or do not exist. */
export function worldOf(entities: readonly EntityFacts[], query: Omit<Query, 'entity'>): World {
  const byKey = new Map<UidKey, EntityFacts>(entities.map((entity) => [uidKey(entity.uid), entity]))
  const action = byKey.get(uidKey(query.action)) ?? {
    uid: query.action,
    attrs: new Map(),
    tags: new Map(),
    ancestors: query.actionAncestors,
  }
  return {
    entities: [...entities.filter(({ uid }) => uidKey(uid) !== uidKey(query.action)), action],
    query: { ...query, entity: (uid) => byKey.get(uidKey(uid)) },
  }
}
