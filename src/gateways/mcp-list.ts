import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { Candidate, Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { mcpCall } from '#protocols/mcp.ts'
import { isJsonObject } from '#protocols/strict-json.ts'

/** Most entries of one list. */
export const LIST_ENTRIES_MAX = 1_000

/** A method of MCP that lists: where its result has the entries, and the call that an entry offers. */
export interface ListMethod {
  readonly member: string
  readonly call: string
  readonly named: 'name' | 'uri' | 'uriTemplate'
}

/** `tools/list`. */
export const TOOL_LIST: ListMethod = { member: 'tools', call: 'tools/call', named: 'name' }

/** Methods whose results are lists of what can be called. */
export const LISTS: { readonly [method: string]: ListMethod } = {
  'tools/list': TOOL_LIST,
  'prompts/list': { member: 'prompts', call: 'prompts/get', named: 'name' },
  'resources/list': { member: 'resources', call: 'resources/read', named: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', call: 'resources/read', named: 'uriTemplate' },
}

/** The result of a list method, with what of it can be asked about. */
export interface McpList {
  readonly result: JsonObject
  /** Member of the result that holds the entries. */
  readonly member: string
  readonly entries: readonly Json[]
  /** Entries that offer a call, by their positions among the candidates. */
  readonly positions: readonly number[]
  readonly candidates: readonly Candidate[]
}

/** @param candidateOf the call that an entry offers; undefined leaves the entry out */
export function readMcpList(
  result: Json | undefined,
  member: string,
  candidateOf: (entry: Json) => Candidate | undefined,
): Result<McpList, Malformed> {
  const entries = isJsonObject(result) ? result[member] : undefined
  if (!isJsonObject(result) || !Array.isArray(entries))
    return refused('request.wrong_type', `\`result.${member}\` must be the list that the server gave`)
  if (entries.length > LIST_ENTRIES_MAX)
    return refused('request.batch_too_large', `a list may have ${LIST_ENTRIES_MAX} entries`)
  const offered = entries.map(candidateOf)
  return success({
    result,
    member,
    entries,
    positions: offered.flatMap((candidate, position) => (candidate === undefined ? [] : [position])),
    candidates: offered.filter((candidate) => candidate !== undefined),
  })
}

/** The call that something of this name offers, with arguments that nobody has chosen yet; undefined when there is none. */
export function offeredCall(
  server: string,
  { call, named }: ListMethod,
  name: Json | undefined,
): Candidate | undefined {
  if (typeof name !== 'string') return undefined
  const found = mcpCall(server, call, { [named === 'name' ? 'name' : 'uri']: name })
  if (!found.ok) return undefined
  const { tool, arguments: input, effect } = found.value
  return {
    tool,
    arguments: input,
    ...(effect !== undefined && { protocolEffect: effect }),
    ...(call === 'tools/call' && { argumentsOpen: true }),
  }
}

/**
 * The list with the entries whose candidates `keeps`, and how many are hidden.
 *
 * INVARIANT: an entry that can't be read as one call is left out, and the result is marked private (MCP 2026-07-28
 * `cacheScope`): a cache in between would show it to others.
 */
export function reduceList(
  { result, member, entries, positions }: McpList,
  keeps: (candidate: number) => boolean,
): { readonly result: JsonObject; readonly hidden: number } {
  const kept = positions.filter((_position, candidate) => keeps(candidate))
  const list = {
    ...result,
    [member]: kept.map((position) => entries[position] ?? null),
    cacheScope: 'private',
  }
  return { result: list, hidden: entries.length - kept.length }
}

/** Positions of the candidates that an allowed decision about a list keeps; none of any other decision. */
export function permittedIn({
  effect,
  permitted = [],
}: Pick<Decision, 'effect' | 'permitted'>): ReadonlySet<number> {
  return new Set(effect === 'allow' ? permitted : [])
}

function refused(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
