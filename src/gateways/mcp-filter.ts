import { failed, type Result, success } from '#lib/result.ts'
import type { Candidate, Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { mcpCall } from '#protocols/mcp.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { readJsonBody } from './json-body.ts'
import { answerJson, jsonAnswer, native, readNativeItem } from './native.ts'
import type { GatewayDialect, ItemAnswer, WireRequest, WireResponse } from './wire.ts'

/** Most entries of one list. */
export const LIST_ENTRIES_MAX = 1_000

/** Where a list result of MCP has its entries, and the call that an entry offers. */
const LISTS: {
  readonly [method: string]: {
    readonly member: string
    readonly call: string
    readonly named: 'name' | 'uri' | 'uriTemplate'
  }
} = {
  'tools/list': { member: 'tools', call: 'tools/call', named: 'name' },
  'prompts/list': { member: 'prompts', call: 'prompts/get', named: 'name' },
  'resources/list': { member: 'resources', call: 'resources/read', named: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', call: 'resources/read', named: 'uriTemplate' },
}

/**
 * `POST /v1/mcp/filter`: the list result of an MCP server without the entries that this caller could not use. The caller is
 * named as in `POST /v1/decide`; `server`, `method` (default `tools/list`) and `result` say what the list is.
 *
 * INVARIANT: an entry that can't be read as one call is left out, and the answer is marked private (MCP 2026-07-28
 * `cacheScope`): a cache in between would show it to others.
 */
export const mcpFilter: GatewayDialect = {
  read(wire, _gateway, now) {
    const listing = readListing(wire)
    if (!listing.ok) return listing
    const { server, method, candidates, caller } = listing.value
    const item = { ...caller, tool: { server, name: `mcp:${method}` } }
    const read = readNativeItem(item, wire, now)
    if (!read.ok) return read
    const request = { ...read.value, protocolEffect: 'read', candidates } as const
    return success({ requests: [request], semantic: 'single', itemErrors: new Map() })
  },
  write([answer], _asked, wire) {
    const listing = readListing(wire)
    if (answer === undefined || !listing.ok) return native.refuse(FAULT, wire)
    return filtered(answer, listing.value)
  },
  refuse: native.refuse,
}

const FAULT = { code: 'internal.fault', message: 'the list could not be filtered' } as const

interface Listing {
  readonly server: string
  readonly method: string
  readonly result: JsonObject
  /** Member of the result that holds the entries. */
  readonly member: string
  readonly entries: readonly Json[]
  /** Entries that offer a call, by their positions among the candidates. */
  readonly positions: readonly number[]
  readonly candidates: readonly Candidate[]
  /** The other fields of the body. */
  readonly caller: JsonObject
}

function readListing(wire: WireRequest): Result<Listing, Malformed> {
  const body = readJsonBody(wire)
  if (!body.ok) return body
  const { server, method = 'tools/list', result, ...caller } = body.value
  if (typeof server !== 'string' || server === '' || server.includes('/'))
    return refused('request.wrong_type', '`server` must be the id of an MCP server, without `/`')
  const list = typeof method === 'string' && Object.hasOwn(LISTS, method) ? LISTS[method] : undefined
  if (typeof method !== 'string' || list === undefined)
    return refused('request.wrong_type', `\`method\` must be one of ${Object.keys(LISTS).join(', ')}`)
  const named = ['tool', 'action', 'resource', 'arguments'].find((name) => Object.hasOwn(caller, name))
  if (named !== undefined) return refused('request.unknown_field', `\`${named}\` is not a field of a list`)
  const entries = isJsonObject(result) ? result[list.member] : undefined
  if (!isJsonObject(result) || !Array.isArray(entries))
    return refused('request.wrong_type', `\`result.${list.member}\` must be the list that the server gave`)
  if (entries.length > LIST_ENTRIES_MAX)
    return refused('request.batch_too_large', `a list may have ${LIST_ENTRIES_MAX} entries`)
  const offered = entries.map((entry: Json) => candidateOf(server, list, entry))
  return success({
    server,
    method,
    result,
    member: list.member,
    entries,
    positions: offered.flatMap((candidate, position) => (candidate === undefined ? [] : [position])),
    candidates: offered.filter((candidate) => candidate !== undefined),
    caller,
  })
}

/** The call that an entry offers, with arguments that nobody has chosen yet; undefined when it offers none. */
function candidateOf(
  server: string,
  { call, named }: { readonly call: string; readonly named: string },
  entry: Json,
): Candidate | undefined {
  const name = isJsonObject(entry) ? entry[named] : undefined
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

function filtered(answer: ItemAnswer, { result, member, entries, positions }: Listing): WireResponse {
  const permitted =
    'decision' in answer && answer.decision.effect === 'allow' ? (answer.decision.permitted ?? []) : []
  const kept = permitted.flatMap((candidate) => {
    const position = positions[candidate]
    return position === undefined ? [] : [position]
  })
  const list = {
    ...result,
    [member]: kept.map((position) => entries[position] ?? null),
    cacheScope: 'private',
  }
  return jsonAnswer({ ...answerJson(answer), result: list, hidden: entries.length - kept.length })
}

function refused(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
