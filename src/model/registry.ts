import type { EntityUid, JsonObject } from '#model/value.ts'

/** A registered entity as imported: attributes and tags in Cedar's entity JSON (explicit escapes are allowed here). */
export interface StoredEntity {
  readonly uid: EntityUid
  readonly attrs: JsonObject
  readonly tags: JsonObject
  readonly parents: readonly EntityUid[]
}

/** Everything registered for one tenant at one state version; immutable for its readers. */
export interface RegistrySnapshot {
  readonly size: number
  find(uid: EntityUid): StoredEntity | undefined
  /** All ancestors, nearest first, without the entity itself; deterministic order. Empty for an unknown entity. */
  ancestors(uid: EntityUid): readonly EntityUid[]
  /** Action entities (tools and groups) are registered too; the same lookups serve them. */
  ofType(type: string): readonly StoredEntity[]
  /**
   * Entities of a type whose id is not before `from`, in the order of their ids (by UTF-16 code units). Now and then undefined comes in
   * between: a place where whoever reads many can let others have their turn.
   */
  inOrder(type: string, from: string): Iterable<StoredEntity | undefined>
  /** The registered tool id whose route pattern matches, with its path parameters; undefined when none or several match. */
  matchRoute(
    method: string,
    path: string,
  ): { readonly tool: string; readonly parameters: JsonObject } | undefined
  /** The server at whose endpoint the path is, with what follows the endpoint; `server` is empty when two claim it. */
  matchServer(
    path: string,
  ): { readonly server: string; readonly protocol: 'mcp' | 'a2a'; readonly rest: string } | undefined
}
