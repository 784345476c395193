import {
  bytesField,
  decodeMessage,
  type Message,
  mapField,
  messageField,
  messagesField,
  textField,
  textsField,
} from '#gateways/protobuf/read.ts'
import { readStruct } from '#gateways/protobuf/struct.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { parseJsonObject } from '#protocols/strict-json.ts'

/** What agentgateway says about one MCP message, before it goes to the server or after the server answered. */
export interface McpMessage {
  /** Backends: one, or for lists all of them. */
  readonly services: readonly string[]
  readonly method: string
  /** What the configuration of the gateway adds. */
  readonly context: JsonObject
  /** `params` of the call, or `result` of the answer. */
  readonly content: JsonObject
  /** Headers of the client, as name, value, name, value; none come with an answer. */
  readonly rawHeaders: readonly string[]
}

/** @see agentgateway crates/protos/proto/ext_mcp.proto McpRequest, McpResponse: fields 1 to 4 are the same in both */
export function readMcpMessage(bytes: Uint8Array): Result<McpMessage, Malformed> {
  const decoded = decodeMessage(bytes, (message) => ({
    services: textsField(message, 1),
    method: textField(message, 2) ?? '',
    context: readStruct(messageField(message, 3)),
    content: bytesField(message, 4),
    rawHeaders: messagesField(message, 5).flatMap(headerOf),
  }))
  if (!decoded.ok) return decoded
  const { services, method, content } = decoded.value
  if (
    services.length === 0 ||
    method === '' ||
    services.some((service) => service === '' || service.includes('/'))
  )
    return failed({ code: 'request.missing_field', message: 'the backend and the method must be named' })
  const object = content === undefined || content.length === 0 ? success({}) : parseJsonObject(content)
  return object.ok ? success({ ...decoded.value, content: object.value }) : object
}

/** The gateway's key among what its configuration adds; undefined without one. */
export function keyOfMcpMessage(bytes: Uint8Array): string | undefined {
  const key = decodeMessage(bytes, (message) =>
    mapField(messageField(message, 3), 1, (entry) => textField(messageField(entry, 2), 3)).get(
      'x-warder-gateway-key',
    ),
  )
  return key.ok ? key.value : undefined
}

function headerOf(header: Message): readonly string[] {
  const value = bytesField(header, 2) ?? new Uint8Array()
  return [textField(header, 1) ?? '', Buffer.from(value).toString('latin1')]
}
