import type { EntityScope, PolicyRecord, ReadNode, Reads } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey } from '#model/value.ts'

/** What the policies of a slice can read of one value, united. */
export interface PlanNode {
  readonly whole: boolean
  readonly ancestors: boolean
  readonly tags: boolean
  readonly attrs: ReadonlyMap<string, PlanNode>
  /** Everything below is read, through entity references too. */
  readonly everything: boolean
}

/** What the policies of a slice can read of a query. Worked out once per slice. */
export interface ReadPlan {
  readonly principal: PlanNode
  readonly resource: PlanNode
  readonly context: PlanNode
  readonly entities: readonly { readonly uid: EntityUid; readonly node: PlanNode }[]
  /** Ancestors that scopes ask for; others matter only where a condition uses `in`. */
  readonly principalScopes: ReadonlySet<UidKey>
  readonly resourceScopes: ReadonlySet<UidKey>
}

/** A value of which nothing inside is followed. */
export const LEAF: PlanNode = node(true, false, new Map())

/** A value of which everything is read. */
export const EVERYTHING: PlanNode = node(true, true, new Map())

const NOTHING: PlanNode = node(false, false, new Map())

function node(whole: boolean, everything: boolean, attrs: ReadonlyMap<string, PlanNode>): PlanNode {
  return { whole, ancestors: everything, tags: everything, attrs, everything }
}

/** Unites what `policies` read. */
export function uniteReads(policies: readonly PolicyRecord[]): ReadPlan {
  const reads = policies.map((policy) => policy.reads)
  const all = reads.some((each) => each.all)
  const part = (pick: (each: Reads) => ReadNode | undefined): PlanNode =>
    all ? EVERYTHING : uniteNodes(reads.map(pick))
  return {
    principal: part((each) => each.principal),
    resource: part((each) => each.resource),
    context: part((each) => each.context),
    entities: uniteEntities(reads, all),
    principalScopes: scopeAncestors(policies.map((policy) => policy.scope.principal)),
    resourceScopes: scopeAncestors(policies.map((policy) => policy.scope.resource)),
  }
}

function uniteNodes(parts: readonly (ReadNode | undefined)[]): PlanNode {
  const nodes = parts.filter((part) => part !== undefined)
  if (nodes.length === 0) return NOTHING
  const children = new Map<string, ReadNode[]>()
  for (const part of nodes) {
    for (const [name, child] of Object.entries(part.attrs)) {
      const known = children.get(name)
      if (known === undefined) children.set(name, [child])
      else known.push(child)
    }
  }
  return {
    whole: nodes.some((part) => part.whole),
    ancestors: nodes.some((part) => part.ancestors),
    tags: nodes.some((part) => part.tags),
    attrs: new Map([...children].map(([name, same]) => [name, uniteNodes(same)])),
    everything: false,
  }
}

function uniteEntities(reads: readonly Reads[], all: boolean): ReadPlan['entities'] {
  const byKey = new Map<UidKey, { readonly uid: EntityUid; readonly nodes: ReadNode[] }>()
  for (const { uid, node: part } of reads.flatMap((each) => each.entities)) {
    const known = byKey.get(uidKey(uid))
    if (known === undefined) byKey.set(uidKey(uid), { uid, nodes: [part] })
    else known.nodes.push(part)
  }
  return [...byKey.values()].map(({ uid, nodes }) => ({ uid, node: all ? EVERYTHING : uniteNodes(nodes) }))
}

function scopeAncestors(scopes: readonly EntityScope[]): ReadonlySet<UidKey> {
  const keys = new Set<UidKey>()
  for (const scope of scopes) {
    if (scope.op === 'in' || scope.op === 'is-in') keys.add(uidKey(scope.entity))
  }
  return keys
}
