import {
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type StatusObject,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { struct } from './envoy-client.ts'

/** What agentgateway reads from an answer: exactly one of the three is set. */
export interface ExtMcpReply {
  /** 0 is success of gRPC. */
  readonly code: number
  readonly passed: boolean
  /** The JSON that takes the place of what was asked about. */
  readonly mutated: unknown
  readonly error: { readonly code: number; readonly reason: string; readonly rpc: unknown } | undefined
}

/** A client of grpc-js for the hook after an MCP server answered. */
export interface ExtMcpClient {
  checkResponse(
    asked: {
      readonly services: readonly string[]
      readonly method: string
      readonly context: Readonly<Record<string, unknown>>
      readonly result: unknown
    },
    metadata?: Readonly<Record<string, string>>,
  ): Promise<ExtMcpReply>
  close(): void
}

interface Answer {
  readonly pass?: object
  readonly mutated?: Buffer
  readonly error?: { readonly code: number; readonly reason: string; readonly mcp_error: Buffer }
}

const loaded: GrpcObject = loadPackageDefinition(
  loadSync('test/support/ext_mcp.proto', { keepCase: true, defaults: false, arrays: true }),
)

/** Opens a client. */
export function extMcpClient(port: number): ExtMcpClient {
  const found = ['agentgateway', 'dev', 'ext_mcp', 'ExtMcp'].reduce<unknown>(
    (at, part) => (typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined),
    loaded,
  )
  if (typeof found !== 'function') throw new Error('no service ExtMcp')
  const client: unknown = Reflect.construct(found, [`localhost:${port}`, credentials.createInsecure()])
  const method = (name: string): ((...parts: readonly unknown[]) => unknown) => {
    const call: unknown =
      typeof client === 'object' && client !== null ? Reflect.get(client, name) : undefined
    if (typeof call !== 'function') throw new Error(`the client has no ${name}`)
    return (...parts) => Reflect.apply(call, client, parts)
  }
  return {
    checkResponse: ({ services, method: rpc, context, result }, metadata = {}) =>
      new Promise((done) => {
        const sent = new Metadata()
        for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
        const message = {
          service_names: services,
          method: rpc,
          metadata_context: struct(context),
          mcp_response: Buffer.from(JSON.stringify(result)),
        }
        method('CheckResponse')(
          message,
          sent,
          { deadline: Date.now() + 60_000 },
          (error: StatusObject | null, answer?: Answer) => done(replyOf(error?.code ?? 0, answer)),
        )
      }),
    close: () => void method('close')(),
  }
}

function replyOf(code: number, answer: Answer = {}): ExtMcpReply {
  const { pass, mutated, error } = answer
  return {
    code,
    passed: pass !== undefined,
    mutated: mutated && JSON.parse(mutated.toString()),
    error: error && { code: error.code, reason: error.reason, rpc: JSON.parse(error.mcp_error.toString()) },
  }
}
