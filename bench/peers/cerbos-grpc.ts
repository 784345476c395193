import { connect } from 'node:http2'
import type { OpenWire, Verdict } from '../wire.ts'

const PATH = '/cerbos.svc.v1.CerbosService/CheckResources'
/** Bytes before a message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5
/** Effects in `cerbos.effect.v1`. */
const ALLOW = 1
const DENY = 2

/** A connection of HTTP/2 to the gRPC listener of Cerbos, one call at a time. Bodies are those of its HTTP API. */
export function openCerbosGrpcWire(port: number): OpenWire {
  const messages = new Map<string, Buffer>()
  return (onAnswer, onBroken) =>
    new Promise((resolve, reject) => {
      const session = connect(`http://127.0.0.1:${port}`)
      session.once('close', onBroken)
      session.on('error', reject)
      session.once('connect', () =>
        resolve({
          send: (body) => {
            const message = messages.get(body) ?? encodeCheck(body)
            messages.set(body, message)
            const stream = session.request({
              ':method': 'POST',
              ':path': PATH,
              'content-type': 'application/grpc',
              te: 'trailers',
            })
            const parts: Buffer[] = []
            stream.on('data', (chunk: Buffer) => parts.push(chunk))
            stream.once('end', () => onAnswer(readAnswer(Buffer.concat(parts))))
            stream.on('error', () => undefined)
            stream.end(message)
          },
          close: () => {
            session.removeListener('close', onBroken).destroy()
          },
        }),
      )
    })
}

// cerbos.request.v1.CheckResourcesRequest, field numbers as in its .proto

interface Check {
  readonly requestId: string
  readonly principal: { readonly id: string; readonly roles: readonly string[]; readonly attr: Attributes }
  readonly resources: readonly {
    readonly actions: readonly string[]
    readonly resource: { readonly kind: string; readonly id: string; readonly attr: Attributes }
  }[]
}

type Attributes = Readonly<Record<string, string | number | boolean>>

function encodeCheck(body: string): Buffer {
  const { requestId, principal, resources } = parseCheck(body)
  const message = Buffer.concat([
    text(1, requestId),
    field(3, [
      text(1, principal.id),
      ...principal.roles.map((role) => text(3, role)),
      ...attributes(4, principal.attr),
    ]),
    ...resources.map(({ actions, resource }) =>
      field(4, [
        ...actions.map((action) => text(1, action)),
        field(2, [text(1, resource.kind), text(3, resource.id), ...attributes(4, resource.attr)]),
      ]),
    ),
  ])
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

function attributes(number: number, attr: Attributes): readonly Buffer[] {
  return Object.entries(attr).map(([name, value]) =>
    field(number, [text(1, name), field(2, [encodeValue(value)])]),
  )
}

/** google.protobuf.Value */
function encodeValue(value: string | number | boolean): Buffer {
  if (typeof value === 'string') return text(3, value)
  if (typeof value === 'boolean') return Buffer.from([(4 << 3) | 0, value ? 1 : 0])
  const double = Buffer.alloc(9)
  double[0] = (2 << 3) | 1
  double.writeDoubleLE(value, 1)
  return double
}

function text(number: number, value: string): Buffer {
  return field(number, [Buffer.from(value)])
}

function field(number: number, parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...varint(content.length)]), content])
}

function varint(value: number): readonly number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}

/** results (2) → actions (2, a map) → value (2): the effect of the one action that was asked about. */
function readAnswer(answer: Buffer): Verdict {
  const result = find(answer.subarray(PREFIX_BYTES), 2)
  const entry = result && find(result, 2)
  const effect = entry && find(entry, 2)?.[0]
  if (effect === ALLOW) return 'allow'
  return effect === DENY ? 'deny' : 'other'
}

/** The content of the first field with this number; of a varint its bytes. */
function find(message: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at < message.length; ) {
    const tag = message[at] ?? 0
    const isText = (tag & 7) === 2
    let [length, start] = readVarint(message, at + 1)
    if (!isText) [length, start] = [start - at - 1, at + 1]
    if (tag >> 3 === wanted) return message.subarray(start, start + length)
    at = start + length
  }
  return undefined
}

/** A varint and the place after it. */
function readVarint(message: Buffer, from: number): [number, number] {
  let value = 0
  let at = from
  for (let shift = 0; ; shift += 7, at += 1) {
    const byte = message[at] ?? 0
    value |= (byte & 127) << shift
    if (byte < 128) return [value, at + 1]
  }
}

function parseCheck(body: string): Check {
  return JSON.parse(body) as Check
}
