import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** Wire dialects that ask for decisions. */
export type Dialect = 'native' | 'authzen' | HeaderDialect | 'ext-mcp' | 'docker-mcp'

/** Dialects that pass an HTTP call with its headers on. */
export type HeaderDialect = 'forward-auth' | 'envoy-http' | 'envoy-grpc' | 'opa'

/** Whether the gateway writes the request body itself; in header dialects a client's own headers could pass through. */
export function isJsonDialect(dialect: Dialect): boolean {
  return dialect === 'native' || dialect === 'authzen'
}

/** A party as it was named by the request: a claim, nothing verified. */
export interface PartyClaim {
  readonly id: string
  readonly properties: JsonObject
}

/** An actor of a delegation as it was named by the request: a claim. */
export interface ActorClaim {
  readonly issuer: string | undefined
  readonly id: string
}

/** A typed thing as it was named by the request (AuthZEN subject and resource). */
export interface EntityClaim {
  readonly type: string
  readonly id: string
  readonly properties: JsonObject
}

/** A credential that came with the call; its text never reaches logs, errors or metrics. */
export interface Credential {
  /** Authentication scheme in lower case, e.g. `bearer`, `dpop`, `basic`. */
  readonly scheme: string
  readonly value: string
  /** Header that it came in. Default: `authorization`. */
  readonly header?: 'x-api-key'
}

/** How a gateway told us its client's certificate. */
export type CertificateSource = 'tls' | 'envoy' | 'xfcc' | 'nginx' | 'rfc9440'

/** A client certificate in the form of its source; nothing in it is verified. */
export interface PassedCertificate {
  readonly source: CertificateSource
  readonly value: string
  /** Intermediates, where the source sends them apart (RFC 9440 `Client-Cert-Chain`). */
  readonly chain?: string
  /** What the gateway's own check of the chain said (nginx `$ssl_client_verify`). */
  readonly verified?: string
}

/** An HTTP call: method in upper case, raw path without query, host without scheme, query with `?` (undefined without one). */
export interface HttpCall {
  readonly method: string
  readonly path: string
  readonly host: string | undefined
  readonly query?: string
}

/** What came beside the access token to prove who presents it. Header values verbatim, duplicates kept; nothing is verified. */
export interface Proofs {
  /** The HTTP call that the proofs are about, where `route` does not say it: a gateway's body can. */
  readonly call?: HttpCall
  /** RFC 9449 `DPoP` headers. */
  readonly dpop: readonly string[]
  /** Client certificates as they were passed on, at most one for each source. */
  readonly certificates: readonly PassedCertificate[]
  /** WIMSE `Workload-Identity-Token` and `Workload-Proof-Token`. */
  readonly workloadToken: readonly string[]
  readonly workloadProof: readonly string[]
  /** `Txn-Token`. */
  readonly transactionToken: readonly string[]
  /** RFC 9421: all headers that a signature can cover, name in lower case and value, in order. Undefined where unknown. */
  readonly signedHeaders?: readonly (readonly [string, string])[]
}

/** One call that a list offers. */
export type Candidate = Pick<AuthorizationRequest, 'tool' | 'arguments' | 'protocolEffect' | 'argumentsOpen'>

/** A question with one part left open: what can stand there and is allowed (AuthZEN 1.0 section 8). */
export interface Search {
  readonly open: 'subject' | 'action' | 'resource'
  /** Type of what is looked for, as it was written; empty for actions. */
  readonly type: string
  /** The party that an open subject of this type is; undefined for any other. */
  readonly party?: 'agent' | 'user'
  /** What was asked, without the open id, the page and whatever is new for each request; a page token holds for nothing else. */
  readonly question: JsonObject
  /** Bytes of the whole question, which each candidate is asked with. */
  readonly size: number
  readonly token: string | undefined
  /** Most results of one page. Undefined: as on the page before, at first as many as there may be. */
  readonly limit: number | undefined
  /** Whether whoever asked still waits; a search stops when not. Default: always. */
  readonly isWanted?: () => boolean
  /** The evaluation with this id (of an action: this name) in the open place; undefined where it can't be asked. */
  ask(id: string): AuthorizationRequest | undefined
}

/** What every gateway dialect is translated into: everything in it is claimed, nothing is believed yet. */
export interface AuthorizationRequest {
  readonly dialect: Dialect
  /** When the request was read; the one `now` of the whole decision. */
  readonly now: EpochMilliseconds
  /** The gateway's own id of the request, at most 128 characters. */
  readonly requestId: string | undefined
  /** W3C trace context, verbatim. */
  readonly traceparent: string | undefined
  /** Tenant that the request names; must agree with gateway and token. */
  readonly tenant: string | undefined
  readonly agent: PartyClaim | undefined
  readonly user: PartyClaim | undefined
  /** All actors that the request names, outermost first; the first is `agent`. Undefined: none but that one. */
  readonly chain?: readonly ActorClaim[]
  /** AuthZEN subject verbatim: the only party of a tenant with its own vocabulary. */
  readonly subject: EntityClaim | undefined
  readonly credentials: readonly Credential[]
  readonly proofs?: Proofs
  /** The same object for all questions of one batch, and for its repeats: they share its proofs. Undefined: this question is alone. */
  readonly batch?: object
  /** Identity headers that arrived in a header dialect (name in lower case and value): claims like the fields above. */
  readonly identityHeaders: readonly (readonly [string, string])[]
  /** Tool id `server/tool`, or undefined where `route` or the AuthZEN action decides. */
  readonly tool: string | undefined
  /** HTTP call that a header dialect saw: method in upper case, raw path without query. */
  readonly route: HttpCall | undefined
  /** The original HTTP call as far as the gateway passes it on: body (undefined: none was passed) and the protocol's headers. */
  readonly original?: {
    readonly body: Uint8Array | undefined
    readonly headers: readonly (readonly [string, string])[]
  }
  /** Calls of a list that is to be reduced to what is permitted; the request itself then calls nothing. */
  readonly candidates?: readonly Candidate[] | undefined
  /** Set where candidates are looked for; the request itself then lacks what is open, and calls nothing. */
  readonly search?: Search
  /** Set when the call is a message of MCP, whoever took it apart. */
  readonly protocol?: 'mcp'
  /** Facts that the mapping of the tool makes of the call and the verified token (src/mapping); they count like arguments. */
  readonly mapped?: JsonObject
  /** Set when a message was read (src/protocols): what a protocol method does that is registered nowhere. */
  readonly protocolEffect?: 'read' | 'write'
  /** Set for a candidate: its arguments are not chosen yet, so the answer is that of the best ones. */
  readonly argumentsOpen?: true
  /** Set when only headers named the tool: policies that read arguments can't be asked. */
  readonly argumentsUnknown?: true
  /**
   * Set when the decision is only to be explained: to the agent's side by its reasons, or to an operator who may read policies.
   * For an operator nothing else may come of it: identity is the operator's word, and nobody acted.
   */
  readonly explain?: 'agent' | 'operator'
  readonly action: { readonly name: string; readonly properties: JsonObject } | undefined
  /** Data object; undefined means the tool itself is the resource. */
  readonly resource: EntityClaim | undefined
  readonly arguments: JsonObject | undefined
  readonly session: { readonly id: string } | undefined
  /** Risk as the gateway measured it, 0 to 100. */
  readonly risk: { readonly score: number } | undefined
  /** Environment facts of the gateway (AuthZEN `context`, native `context`). */
  readonly context: JsonObject
  /** From the agent's own payload (goal, claimed risk, "approved"): may only restrict. */
  readonly declared: JsonObject
  /** Obligation types that the gateway says it supports in this request (AuthZEN obligations profile). */
  readonly supportedObligations: readonly string[] | undefined
}

/** A request that could not be read; becomes a 4xx, or a deny in the dialects where the status is the decision. */
export interface Malformed {
  readonly code: MalformedCode
  /** For the caller: what was wrong, where, what to do. Contains no value that could be a secret. */
  readonly message: string
}

/** Reasons why a request can't be read. */
export type MalformedCode =
  | 'request.malformed_json'
  | 'request.malformed_protobuf'
  | 'request.duplicate_key'
  | 'request.too_deep'
  | 'request.too_large'
  | 'request.number_out_of_range'
  | 'request.reserved_key'
  | 'request.invalid_unicode'
  | 'request.unsupported_media_type'
  | 'request.unsupported_encoding'
  | 'request.missing_field'
  | 'request.wrong_type'
  | 'request.unknown_field'
  | 'request.batch_too_large'
  | 'request.header_conflict'
  | 'request.path_ambiguous'
  | 'request.idempotency_key'

/** Where a JSON value stands in the request, for messages: `resource.properties.tags[2]`. */
export type JsonPath = string

/** One leaf that a reader refused. */
export interface WrongValue {
  readonly path: JsonPath
  readonly value: Json
}

/** A request of which nothing was read: where readers begin, and what a refusal is about. */
export const NOTHING_READ: Omit<AuthorizationRequest, 'dialect' | 'requestId' | 'now'> = {
  traceparent: undefined,
  tenant: undefined,
  agent: undefined,
  user: undefined,
  subject: undefined,
  credentials: [],
  identityHeaders: [],
  tool: undefined,
  route: undefined,
  action: undefined,
  resource: undefined,
  arguments: undefined,
  session: undefined,
  risk: undefined,
  context: {},
  declared: {},
  supportedObligations: undefined,
}
