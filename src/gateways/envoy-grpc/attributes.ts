import {
  bytesField,
  int64Field,
  type Message,
  mapField,
  messageField,
  messagesField,
  textField,
  unreadable,
} from '#gateways/protobuf/read.ts'
import { readStruct } from '#gateways/protobuf/struct.ts'
import type { JsonObject } from '#model/value.ts'

/** What Envoy says about the call that it holds. */
export interface CheckAttributes {
  readonly method: string
  /** Path and query as the client sent them. */
  readonly path: string
  readonly host: string | undefined
  /** Name, value, name, value, ... without pseudo headers. Without `encode_raw_headers` Envoy has joined duplicates. */
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
  /** Bytes that Envoy received of the body; -1 where it does not know. */
  readonly size: bigint
  /** The client's certificate as URL-encoded PEM, with `include_peer_certificate`. */
  readonly certificate: string | undefined
  /** What the configuration of the route or the filter adds; no client can. */
  readonly extensions: ReadonlyMap<string, string>
  /** Dynamic metadata of the filters before, by namespace. */
  readonly metadata: ReadonlyMap<string, JsonObject>
}

const EMPTY = new Uint8Array()
const ENCODER = new TextEncoder()

/** @see envoy/service/auth/v3/external_auth.proto CheckRequest, attribute_context.proto AttributeContext */
export function readCheckRequest(request: Message): CheckAttributes {
  const attributes = messageField(request, 1)
  const http = messageField(messageField(attributes, 4), 2)
  return {
    method: textField(http, 2) ?? '',
    path: textField(http, 4) ?? '',
    host: textField(http, 5),
    rawHeaders: readHeaders(http),
    body: readBody(http),
    size: int64Field(http, 9),
    certificate: textField(messageField(attributes, 1), 5),
    extensions: readExtensions(request),
    metadata: mapField(messageField(attributes, 11), 1, (entry) => readStruct(messageField(entry, 2))),
  }
}

/** `attributes.context_extensions` alone: read before it is known who asks. */
export function readExtensions(request: Message): ReadonlyMap<string, string> {
  return mapField(messageField(request, 1), 10, (entry) => textField(entry, 2) ?? '')
}

/** `header_map` keeps duplicates and raw bytes; `headers` is what Envoy sends unless it is told to. */
function readHeaders(http: Message): readonly string[] {
  const joined = mapField(http, 3, (entry) => textField(entry, 2) ?? '')
  const raw = messagesField(messageField(http, 13), 1)
  if (joined.size > 0 && raw.length > 0) return unreadable('the headers are there in two forms')
  const pairs: (readonly [string, string])[] =
    raw.length > 0 ? raw.map((header) => [textField(header, 1) ?? '', headerValue(header)]) : [...joined]
  return pairs.filter(([name]) => !name.startsWith(':')).flat()
}

function headerValue(header: Message): string {
  const raw = bytesField(header, 3)
  // As node:http has header values: one character for each byte.
  return raw === undefined || raw.length === 0
    ? (textField(header, 2) ?? '')
    : Buffer.from(raw).toString('latin1')
}

function readBody(http: Message): Uint8Array {
  const text = textField(http, 11)
  const raw = bytesField(http, 12) ?? EMPTY
  if (text !== undefined && raw.length > 0) return unreadable('the body is there in two forms')
  return text === undefined ? raw : ENCODER.encode(text)
}
