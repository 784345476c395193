import { recordOf } from './answer.ts'

/** An HTTP call as the client sent it. */
export interface HttpCall {
  readonly method: string
  /** Path and query byte for byte, not decoded or normalised. */
  readonly target: string
  readonly host: string | undefined
  readonly scheme: 'http' | 'https'
  /** Every header as name and value, repeats included. */
  readonly headers: readonly (readonly [string, string])[]
}

/** What to do with a call: run it, or answer with `status`, `headers` and `body`. */
export type CallAnswer =
  | {
      readonly allowed: true
      readonly decisionId: string
      readonly agent: string | undefined
      readonly user: string | undefined
      readonly tenant: string
      /** Headers that the handler must see, and no other value of them; undefined: it must not see the header at all. */
      readonly headers: ReadonlyMap<string, string | undefined>
    }
  | {
      readonly allowed: false
      readonly status: number
      readonly headers: readonly (readonly [string, string])[]
      readonly body: string
    }

interface Place {
  readonly url: string
  readonly gatewayKey: string
  readonly timeoutMilliseconds: number
}

/**
 * Of this connection, or told anew. What clients send under these names is not repeated to Warder.
 *
 * INVARIANT: nothing in Warder's own name is: this service may be registered as one that asserts identity, and what came in is
 * what a client said, or at best what a gateway in front of it was told about another question.
 */
const NOT_REPEATED =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|http2-settings|host|content-length|cookie|forwarded|x-forwarded-.*|x-real-ip|x-original-(?:method|uri|url|content-length)|x-warder-.*|x-ssl-client-.*|client-cert.*)$/
/** Only a gateway may say these; the handler must not get them from the client, in no spelling that a server reads as the same. */
const FORGEABLE =
  /^(?:x-warder-.*|x-decision-id|x-original-(?:method|uri|url|content-length)|x-forwarded-client-cert|x-ssl-client-.*|client-cert.*)$/
const PLAIN_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const REQUIRED = ['agent', 'user', 'tenant', 'obligations', 'authorization', 'reason'] as const
const NOT_FOR_HANDLER =
  /^(?:authorization|cache-control|connection|content-.*|date|dpop-nonce|keep-alive|retry-after|server|transfer-encoding|vary|via|www-authenticate|x-request-id)$/
const FOR_CLIENT = ['content-type', 'www-authenticate', 'retry-after', 'dpop-nonce', 'x-decision-id']
const CARRIED_OUT = new Set(['audit', 'max_age', 'set_header', 'strip_authorization'])
/** The answer where nobody decided. */
export const UNAVAILABLE: Extract<CallAnswer, { allowed: false }> = {
  allowed: false,
  status: 503,
  headers: [['content-type', 'application/json']],
  body: '{"error":"authorizer_unavailable"}',
}

/** Asks in the dialect of gateways that see HTTP. No answer, or none that is whole, is a deny with 503. */
export async function checkCall(place: Place, call: HttpCall): Promise<CallAnswer> {
  try {
    const response = await fetch(`${place.url}/forward-auth`, {
      method: 'POST',
      headers: questionOf(place, call),
      redirect: 'manual',
      signal: AbortSignal.timeout(place.timeoutMilliseconds),
    })
    const body = await response.text()
    return response.status === 200 ? allowedOf(response.headers, call) : refusalOf(response, body)
  } catch {
    return UNAVAILABLE
  }
}

function questionOf({ gatewayKey }: Place, call: HttpCall): [string, string][] {
  const repeated = call.headers.flatMap(([name, value]): [string, string][] =>
    NOT_REPEATED.test(name.toLowerCase()) || !PLAIN_NAME.test(name) ? [] : [[name, value]],
  )
  const host: [string, string][] = call.host === undefined ? [] : [['x-forwarded-host', call.host]]
  return [
    ...repeated,
    ...host,
    ['x-warder-gateway-key', gatewayKey],
    ['x-forwarded-method', call.method],
    ['x-forwarded-uri', call.target],
    ['x-forwarded-proto', call.scheme],
  ]
}

/** INVARIANT: a 200 that lacks anything which Warder always says is not Warder's. */
function allowedOf(answered: Headers, call: HttpCall): CallAnswer {
  const decisionId = answered.get('x-decision-id')
  const said = Object.fromEntries(REQUIRED.map((name) => [name, answered.get(`x-warder-${name}`)]))
  if (decisionId === null || decisionId === '' || Object.values(said).some((each) => !each))
    return UNAVAILABLE
  const { authorization, obligations, agent, user, tenant } = said
  if (authorization !== 'keep' && authorization !== 'strip') return UNAVAILABLE
  if (!areCarriedOut(obligations ?? '')) return UNAVAILABLE
  const headers = new Map<string, string | undefined>()
  for (const [name] of call.headers)
    if (FORGEABLE.test(name.toLowerCase().replaceAll('_', '-'))) headers.set(name.toLowerCase(), undefined)
  answered.forEach((value, name) => {
    if (!NOT_FOR_HANDLER.test(name)) headers.set(name, value)
  })
  if (authorization === 'strip') for (const name of ['authorization', 'dpop']) headers.set(name, undefined)
  return {
    allowed: true,
    decisionId,
    agent: partyOf(agent),
    user: partyOf(user),
    tenant: decodeURIComponent(tenant ?? ''),
    headers,
  }
}

function areCarriedOut(obligations: string): boolean {
  if (obligations === 'none') return true
  const list: unknown = JSON.parse(obligations)
  if (!Array.isArray(list) || list.length === 0) return false
  return list.every((each) => CARRIED_OUT.has(String(recordOf(each)?.['type'])))
}

function refusalOf(response: Response, body: string): CallAnswer {
  const isDecision = response.status >= 400 && response.status <= 499 && response.headers.has('x-decision-id')
  if (!isDecision) return UNAVAILABLE
  const headers = FOR_CLIENT.flatMap((name): [string, string][] => {
    const value = response.headers.get(name)
    return value === null ? [] : [[name, value]]
  })
  return { allowed: false, status: response.status, headers, body }
}

function partyOf(said: string | null | undefined): string | undefined {
  return said === null || said === undefined || said === 'none' ? undefined : decodeURIComponent(said)
}
