/** Any JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

/** A JSON object. */
export interface JsonObject {
  readonly [name: string]: Json
}

/** One question (`DecideRequest` of docs/openapi.json). `tool` or `action` must be there. */
export interface DecideRequest {
  readonly agent?: string | { readonly id: string; readonly properties?: JsonObject }
  readonly user?: string | { readonly id: string; readonly properties?: JsonObject }
  readonly tenant?: string
  /** `server/tool`. */
  readonly tool?: string | { readonly server: string; readonly name: string }
  readonly action?: string | { readonly name: string; readonly properties?: JsonObject }
  readonly resource?: { readonly type: string; readonly id: string; readonly properties?: JsonObject }
  readonly arguments?: JsonObject
  readonly task?: { readonly id?: string; readonly goal?: string }
  readonly session?: { readonly id: string }
  /** 0 to 100. */
  readonly risk?: { readonly score?: number; readonly declared?: number }
  readonly context?: JsonObject
  readonly declared?: JsonObject
  readonly credentials?: { readonly access_token?: string; readonly token_type?: 'Bearer' | 'DPoP' }
  /** Proofs of possession. A question with them is not answered from memory: a proof counts once. */
  readonly proofs?: JsonObject
  readonly request?: { readonly id?: string }
}

/** Why; the first one decided. */
export interface Reason {
  readonly code: string
  readonly policy?: string
  readonly message?: string
}

/** What must be done along with the answer; its properties stand beside `type`. */
export interface Obligation {
  readonly type: string
  readonly policies: readonly string[]
  readonly [property: string]: Json
}

/** The answer (`Decision` of docs/openapi.json). */
export interface Decision {
  readonly decision: 'allow' | 'deny'
  readonly reasons: readonly Reason[]
  readonly obligations: readonly Obligation[]
  readonly advice: readonly { readonly text: string; readonly policy: string }[]
  /** Null where nobody decided: Warder could not be asked. */
  readonly decision_id: string | null
  readonly release: string | null
  /** RFC 3339. Null on a deny. */
  readonly expires_at: string | null
}

/** Where Warder is and who asks. */
export interface WarderSettings {
  /** Its decision listener, such as `http://127.0.0.1:8180`. */
  readonly url: string
  /** From `warder gateway add`. */
  readonly gatewayKey: string
  /** For the whole answer, repeats included. Default 1000. */
  readonly timeoutMilliseconds?: number
  /** How many allows with `max_age` are kept while revocations are followed. Default 1000; 0 keeps none. */
  readonly keptMax?: number
}
