import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { Release } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey, type Value, type ValueRecord } from '#model/value.ts'
import type { EngineFault, EntityFacts, Evaluation, Query } from '#policy/port.ts'

/** A query with everything that it reaches, free of the state that it was asked on. */
export interface CapturedQuery extends Omit<Query, 'entity'> {
  readonly entities: readonly EntityFacts[]
}

/** Two evaluators that answered one query differently. */
export interface Difference {
  /** When it was found: before the release was used, beside a live decision, or in the decision itself. */
  readonly source: 'activation' | 'live' | 'decision'
  readonly tenant: TenantId | undefined
  readonly release: ReleaseId
  readonly query: CapturedQuery
  /** The policies whose scope matches, as text by id. */
  readonly policies: { readonly [id: string]: string }
  readonly reference: Evaluation | EngineFault
  readonly compiled: Evaluation | EngineFault
}

const POLICIES_KEPT = 100

/** Entities that are kept with a query; what lies farther away is left out. */
const ENTITIES_MAX = 50

/** Copies what a query reaches from its parties and its context through references. */
export function captureQuery(query: Query): CapturedQuery {
  const found = new Map<UidKey, EntityFacts>()
  const queue: EntityUid[] = [query.principal, query.resource, query.action]
  const look = (fields: ValueRecord): void => {
    for (const value of fields.values()) queue.push(...referencesIn(value))
  }
  look(query.context)
  for (let next = queue.shift(); next !== undefined && found.size < ENTITIES_MAX; next = queue.shift()) {
    if (found.has(uidKey(next))) continue
    const facts = query.entity(next)
    if (facts === undefined) continue
    found.set(uidKey(next), facts)
    look(facts.attrs)
    look(facts.tags)
  }
  const { entity: _live, ...rest } = query
  return { ...rest, entities: [...found.values()] }
}

function* referencesIn(value: Value): Generator<EntityUid> {
  if (typeof value !== 'object') return
  if (value.kind === 'entity') yield value.uid
  if (value.kind === 'set') for (const element of value.elements) yield* referencesIn(element)
  if (value.kind === 'record') for (const field of value.fields.values()) yield* referencesIn(field)
}

/** The query of a capture. */
export function askAgain({ entities, ...query }: CapturedQuery): Query {
  const byKey = new Map(entities.map((facts) => [uidKey(facts.uid), facts]))
  return { ...query, entity: (uid) => byKey.get(uidKey(uid)) }
}

/** Everything about a difference that is worth keeping. */
export function differenceOf(
  source: Difference['source'],
  tenant: TenantId | undefined,
  release: Release,
  query: Query,
  { reference, compiled }: Pick<Difference, 'reference' | 'compiled'>,
  ordinals: readonly number[],
): Difference {
  const policies = Object.fromEntries(
    ordinals.slice(0, POLICIES_KEPT).map((ordinal) => {
      const { id, text } = release.policy(ordinal)
      return [id, text]
    }),
  )
  return { source, tenant, release: release.id, query: captureQuery(query), policies, reference, compiled }
}
