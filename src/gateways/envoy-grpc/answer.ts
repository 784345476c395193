import { NONE } from '#gateways/header-safe.ts'
import { writeStruct } from '#gateways/protobuf/struct.ts'
import { integer, join, message, text } from '#gateways/protobuf/write.ts'
import type { WireResponse } from '#gateways/wire.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** google.rpc.Code */
const OK = 0
const PERMISSION_DENIED = 7
const UNAUTHENTICATED = 16
/** `OVERWRITE_IF_EXISTS_OR_ADD`; the default would append to what the client sent, and the client's value would come first. */
const OVERWRITE = 2

/** A client's copies of these reach the upstream in no case: no answer sets them. */
const NEVER_UPSTREAM = ['x-warder-gateway-key', 'x-warder-subject']

/** A decision in the terms of Envoy. */
export interface CheckAnswer {
  /** Status, headers and body as the dialects over HTTP have them; exactly 200 is allow. */
  readonly answer: WireResponse
  readonly decisionId: string | undefined
  /** Headers that an allow removes from the call. */
  readonly removed: readonly string[]
  /** Headers of the answer to the client, on an allow too. */
  readonly toClient: readonly (readonly [string, string])[]
  /** For access logs and later filters, beside `decision_id` and `reason`. */
  readonly metadata: JsonObject
}

/**
 * The bytes of a CheckResponse.
 *
 * INVARIANT: never empty. Status, response and dynamic metadata are written for allow and deny, and a deny has a status that
 * is not OK whatever else happens.
 *
 * @see envoy/service/auth/v3/external_auth.proto CheckResponse
 */
export function writeCheckResponse({
  answer,
  decisionId,
  removed,
  toClient,
  metadata,
}: CheckAnswer): Uint8Array {
  const { status, headers, body } = answer
  const own: readonly (readonly [string, string])[] = [
    ...headers,
    ...(decisionId === undefined ? [] : [['x-decision-id', decisionId] as const]),
  ]
  const reason = headers.find(([name]) => name === 'x-warder-reason')?.[1] ?? NONE
  const told: { readonly [name: string]: Json } = { decision_id: decisionId ?? NONE, reason, ...metadata }
  const dynamic = message(4, writeStruct(told))
  if (status === 200) {
    const forClient = [...toClient, ...own.filter(([name]) => name === 'x-decision-id')]
    const ok = join(
      ...own.map(([name, value]) => header(2, name, value)),
      ...[...NEVER_UPSTREAM, ...removed].map((name) => text(5, name)),
      ...forClient.map(([name, value]) => header(6, name, value)),
    )
    return join(message(1, integer(1, OK)), message(3, ok), dynamic)
  }
  const code = status === 401 ? UNAUTHENTICATED : PERMISSION_DENIED
  const denied = join(
    message(1, integer(1, status)),
    ...[...own, ...toClient].map(([name, value]) => header(2, name, value)),
    text(3, body),
  )
  return join(message(1, integer(1, code), text(2, reason)), message(2, denied), dynamic)
}

/** HeaderValueOption {1 header {1 key, 2 value}, 3 append_action}. */
function header(field: number, name: string, value: string): Uint8Array {
  return message(field, message(1, text(1, name), text(2, value)), integer(3, OVERWRITE))
}
