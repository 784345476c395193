import type { PolicyRecord, ReadNode, Release, ReleaseHeader } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey, type Value } from '#model/value.ts'
import { compilePolicy } from '#policy/compile/policy-record.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import type { EntityFacts, Query } from '#policy/port.ts'

/** Compiles one policy text, which must carry an `@id`, as a push does. */
export function policyRecord(text: string): PolicyRecord {
  const file = { name: 'test.cedar', text }
  const source = { file, text, start: 0, head: 0, annotations: new Map<string, number>() }
  const compiled = compilePolicy(source, 'tenant')
  if (!('record' in compiled) || compiled.record === undefined) throw new Error(`does not compile: ${text}`)
  return compiled.record
}

/** The header of a release of `policyCount` policies. */
export function releaseHeader(policyCount: number, id = 'sha256:test'): ReleaseHeader {
  return { id, vocabulary: 'own', validated: false, schema: undefined, policyCount } as ReleaseHeader
}

/** Hands records over in batches, as the store does. */
export async function* inBatches(
  records: readonly PolicyRecord[],
  size = 200,
): AsyncGenerator<readonly PolicyRecord[]> {
  for (let at = 0; at < records.length; at += size) yield records.slice(at, at + size)
}

/** A release of these policy texts; its id follows from them. */
export async function releaseOfTexts(texts: readonly string[], id = texts.join('\n')): Promise<Release> {
  return await assembleRelease(releaseHeader(texts.length, id), inBatches(texts.map(policyRecord)))
}

/** `T::"id"` as a uid; the id may not contain quotes. */
export function uid(text: string): EntityUid {
  const match = /^(.+)::"(.*)"$/.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) throw new Error(`not a uid: ${text}`)
  return { type: match[1], id: match[2] }
}

/** An entity with attributes and ancestors. */
export function facts(
  self: EntityUid,
  attrs: { readonly [name: string]: Value } = {},
  ancestors: readonly EntityUid[] = [],
): EntityFacts {
  return { uid: self, attrs: new Map(Object.entries(attrs)), tags: new Map(), ancestors }
}

/** A query over these entities; `parts` overrides the defaults `A::"p"`, `Action::"act"`, `R::"r"`, no context. */
export function query(entities: readonly EntityFacts[], parts: Partial<Query> = {}): Query {
  const byKey = new Map<UidKey, EntityFacts>(entities.map((entity) => [uidKey(entity.uid), entity]))
  return {
    principal: uid('A::"p"'),
    action: uid('Action::"act"'),
    resource: uid('R::"r"'),
    actionAncestors: [],
    context: new Map(),
    entity: (wanted) => byKey.get(uidKey(wanted)),
    ...parts,
  }
}

/** A node of a read tree. */
export function readNode(
  attrs: { readonly [name: string]: ReadNode } = {},
  flags: Partial<ReadNode> = {},
): ReadNode {
  return { whole: false, ancestors: false, tags: false, attrs, ...flags }
}
