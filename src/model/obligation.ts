import type { JsonObject } from '#model/value.ts'

/** The closed catalogue, version 2 (docs/obligations.md). */
export type ObligationType =
  | 'step_up'
  | 'human_approval'
  | 'redact'
  | 'rate_limit'
  | 'token_exchange'
  | 'strip_authorization'
  | 'set_header'
  | 'audit'
  | 'notify'
  | 'max_age'

/** What the gateway must do along with the answer, else treat it as deny. `properties` are checked at publish. */
export interface Obligation {
  readonly type: ObligationType
  readonly properties: JsonObject
  /** Policies that asked for it, sorted. */
  readonly policies: readonly string[]
}

/** Whether the agent's credential must not reach the upstream. */
export function stripsCredentials(obligations: readonly Obligation[]): boolean {
  return obligations.some(({ type }) => type === 'strip_authorization' || type === 'token_exchange')
}

/** A hint that the gateway may ignore. */
export interface Advice {
  readonly text: string
  readonly policy: string
}
