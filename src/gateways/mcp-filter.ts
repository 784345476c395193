import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { readJsonBody } from './json-body.ts'
import { LISTS, type McpList, offeredCall, permittedIn, readMcpList, reduceList } from './mcp-list.ts'
import { answerJson, jsonAnswer, native, readNativeItem } from './native.ts'
import type { GatewayDialect, ItemAnswer, WireRequest, WireResponse } from './wire.ts'

/**
 * `POST /v1/mcp/filter`: the list result of an MCP server without the entries that this caller could not use (mcp-list.ts). The
 * caller is named as in `POST /v1/decide`; `server`, `method` (default `tools/list`) and `result` say what the list is.
 */
export const mcpFilter: GatewayDialect = {
  read(wire, _gateway, now) {
    const listing = readListing(wire)
    if (!listing.ok) return listing
    const { server, method, list, caller } = listing.value
    const item = { ...caller, tool: { server, name: `mcp:${method}` } }
    const read = readNativeItem(item, wire, now)
    if (!read.ok) return read
    const request = {
      ...read.value,
      protocol: 'mcp',
      protocolEffect: 'read',
      candidates: list.candidates,
    } as const
    return success({ requests: [request], semantic: 'single', itemErrors: new Map() })
  },
  write([answer], _asked, wire) {
    const listing = readListing(wire)
    if (answer === undefined || !listing.ok) return native.refuse(FAULT, wire)
    return filtered(answer, listing.value.list)
  },
  refuse: native.refuse,
}

const FAULT = { code: 'internal.fault', message: 'the list could not be filtered' } as const

interface Listing {
  readonly server: string
  readonly method: string
  readonly list: McpList
  /** The other fields of the body. */
  readonly caller: JsonObject
}

function readListing(wire: WireRequest): Result<Listing, Malformed> {
  const body = readJsonBody(wire)
  if (!body.ok) return body
  const { server, method = 'tools/list', result, ...caller } = body.value
  if (typeof server !== 'string' || server === '' || server.includes('/'))
    return refused('request.wrong_type', '`server` must be the id of an MCP server, without `/`')
  const kind = typeof method === 'string' && Object.hasOwn(LISTS, method) ? LISTS[method] : undefined
  if (typeof method !== 'string' || kind === undefined)
    return refused('request.wrong_type', `\`method\` must be one of ${Object.keys(LISTS).join(', ')}`)
  const named = ['tool', 'action', 'resource', 'arguments'].find((name) => Object.hasOwn(caller, name))
  if (named !== undefined) return refused('request.unknown_field', `\`${named}\` is not a field of a list`)
  const list = readMcpList(result, kind.member, (entry) =>
    offeredCall(server, kind, isJsonObject(entry) ? entry[kind.named] : undefined),
  )
  return list.ok ? success({ server, method, list: list.value, caller }) : list
}

function filtered(answer: ItemAnswer, list: McpList): WireResponse {
  const permitted = permittedIn('decision' in answer ? answer.decision : { effect: 'deny' })
  return jsonAnswer({ ...answerJson(answer), ...reduceList(list, (candidate) => permitted.has(candidate)) })
}

function refused(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
