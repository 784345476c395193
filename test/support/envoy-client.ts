import { resolve } from 'node:path'
import {
  type ChannelCredentials,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type StatusObject,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const ROOT = resolve('node_modules/@grpc/grpc-js-xds/deps')
const FOLDERS = ['envoy-api', 'googleapis', 'xds', 'protoc-gen-validate']

/** What a call of a gRPC client ends with. */
export interface Reply {
  /** 0 is success. */
  readonly code: number
  readonly details: string
  /** The message as genuine Envoy protocol files read it; undefined on failure. */
  readonly message: CheckReply | undefined
}

/** CheckResponse as proto-loader gives it. */
export interface CheckReply {
  readonly status?: { readonly code: number; readonly message: string } | null
  readonly ok_response?: {
    readonly headers: readonly HeaderOption[]
    readonly headers_to_remove: readonly string[]
    readonly response_headers_to_add: readonly HeaderOption[]
  }
  readonly denied_response?: {
    readonly status: { readonly code: number }
    readonly headers: readonly HeaderOption[]
    readonly body: string
  }
  readonly dynamic_metadata?: { readonly fields: { readonly [name: string]: unknown } } | null
}

interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string }
  readonly append_action: number
}

/** A client of grpc-js with the protocol files that Envoy's authors publish. */
export interface EnvoyClient {
  check(
    request: object,
    metadata?: Readonly<Record<string, string>>,
    deadlineMilliseconds?: number,
  ): Promise<Reply>
  close(): void
}

const loaded: GrpcObject = loadPackageDefinition(
  loadSync('envoy/service/auth/v3/external_auth.proto', {
    includeDirs: FOLDERS.map((folder) => `${ROOT}/${folder}`),
    keepCase: true,
    longs: String,
    defaults: false,
    arrays: true,
    oneofs: false,
  }),
)

/** Opens a client; TLS with `channel`. */
export function envoyClient(
  port: number,
  channel: ChannelCredentials = credentials.createInsecure(),
): EnvoyClient {
  const Client = serviceOf('envoy.service.auth.v3.Authorization')
  const client = new Client(`localhost:${port}`, channel)
  return {
    check: (request, metadata = {}, deadlineMilliseconds = 10_000) =>
      new Promise((done) => {
        const sent = new Metadata()
        for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
        const deadline = Date.now() + deadlineMilliseconds
        const call: unknown = Reflect.get(client, 'Check')
        if (typeof call !== 'function') throw new Error('the service has no Check')
        Reflect.apply(call, client, [
          request,
          sent,
          { deadline },
          (error: StatusObject | null, message?: CheckReply) =>
            done({ code: error?.code ?? 0, details: error?.details ?? '', message }),
        ])
      }),
    close: () => client.close(),
  }
}

/** A CheckRequest for one call, as Envoy fills it. */
export function checkRequest(http: object, more: object = {}): object {
  return {
    attributes: { request: { http: { method: 'GET', path: '/', host: 'api.test', ...http } }, ...more },
  }
}

/** A JSON object as google.protobuf.Struct. */
export function struct(object: Readonly<Record<string, unknown>>): object {
  return {
    fields: Object.fromEntries(Object.entries(object).map(([key, value]) => [key, structValue(value)])),
  }
}

function structValue(value: unknown): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'number') return { numberValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (Array.isArray(value)) return { listValue: { values: value.map(structValue) } }
  if (typeof value === 'object' && value !== null) return { structValue: struct({ ...value }) }
  return { nullValue: 0 }
}

function serviceOf(name: string): ServiceClientConstructor {
  const found = name.split('.').reduce<unknown>((at, part) => (isObject(at) ? at[part] : undefined), loaded)
  if (typeof found !== 'function') throw new Error(`no service ${name}`)
  return found as unknown as ServiceClientConstructor
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
