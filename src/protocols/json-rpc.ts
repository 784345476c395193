import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject, parseJson } from './strict-json.ts'

/** One JSON-RPC 2.0 message. A response carries what a client answers to a server's own request. */
export interface RpcMessage {
  readonly kind: 'call' | 'response'
  /** Empty for a response. */
  readonly method: string
  readonly params: JsonObject
}

const METHOD = /^[A-Za-z$][A-Za-z0-9_$./-]{0,127}$/
const MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])

/**
 * The one message in a body (JSON-RPC 2.0 sections 4 and 5).
 *
 * INVARIANT: what this accepts every reader understands alike: no batch (each element would run), no duplicate members, no
 * members of two kinds of message, nothing beside the message.
 */
export function readRpcMessage(body: Uint8Array): Result<RpcMessage, Stop> {
  const parsed = parseJson(body)
  if (!parsed.ok) return failed({ code: parsed.failure.code, message: parsed.failure.message })
  if (Array.isArray(parsed.value)) return failed({ code: 'rpc.batch', message: REASONS['rpc.batch'] })
  if (!isJsonObject(parsed.value)) return unreadable('the body is not an object')
  const message = parsed.value
  if (message['jsonrpc'] !== '2.0') return unreadable('`jsonrpc` is not "2.0"')
  if (Object.keys(message).some((name) => !MEMBERS.has(name)))
    return unreadable('a member is not one of JSON-RPC')
  if (!isId(message['id'])) return unreadable('`id` is neither a text nor a number')
  const isResponse = Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')
  return isResponse ? readResponse(message) : readCall(message)
}

function readResponse({ method, params }: JsonObject): Result<RpcMessage, Stop> {
  return method === undefined && params === undefined
    ? success({ kind: 'response', method: '', params: {} })
    : unreadable('it is both a call and a response')
}

function readCall({ method, params = {} }: JsonObject): Result<RpcMessage, Stop> {
  if (typeof method !== 'string' || !METHOD.test(method)) return unreadable('`method` is not a method name')
  return isJsonObject(params)
    ? success({ kind: 'call', method, params })
    : unreadable('`params` is not an object')
}

function isId(id: Json | undefined): boolean {
  return id === undefined || id === null || typeof id === 'string' || typeof id === 'number'
}

/** A body that is no message of the protocol that the route speaks. */
export function unreadable(detail: string): Result<never, Stop> {
  return failed({ code: 'rpc.unreadable', message: `${REASONS['rpc.unreadable']}: ${detail}` })
}
