import { authzen } from '#gateways/authzen.ts'
import { authzenSearch } from '#gateways/authzen-search.ts'
import type { GatewayDialect, WireRequest } from '#gateways/wire.ts'
import type { Decider } from '#model/decider.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { NOON } from './world.ts'

/** Which part a search leaves open. */
export type Open = 'subject' | 'resource' | 'action'

/** Who is asked, and through which gateway. */
export interface Pdp {
  readonly decider: Decider
  readonly gateway: Gateway
}

/** What came back over the wire. */
export interface Answered {
  readonly status: number
  readonly body: Json
  /** Undefined where the request could not be read. */
  readonly decision: Decision | undefined
}

/** `results`, `page` and `context` of a search. */
export interface SearchBody {
  readonly results: readonly JsonObject[]
  readonly page?: { readonly next_token: string; readonly count: number }
  readonly context?: JsonObject
}

/** Searches as over HTTP, without the listener. */
export async function search(pdp: Pdp, open: Open, body: JsonObject): Promise<Answered> {
  return await exchange(pdp, authzenSearch, `/access/v1/search/${open}`, body)
}

/** One page that must be an answer. */
export async function pageOf(pdp: Pdp, open: Open, body: JsonObject): Promise<SearchBody> {
  const answer = await search(pdp, open, body)
  if (answer.status !== 200) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer.body as unknown as SearchBody
}

/** Ids or names of all pages, in the order in which they came. */
export async function findAll(
  pdp: Pdp,
  open: Open,
  body: JsonObject,
  limit?: number,
): Promise<readonly string[]> {
  const found: string[] = []
  let token = ''
  for (let pages = 0; pages < 10_000; pages += 1) {
    const asked = { ...(limit !== undefined && { limit }), ...(token !== '' && { token }) }
    const { results, page } = await pageOf(pdp, open, { ...body, page: asked })
    if (limit !== undefined && results.length > limit) throw new Error('a page is longer than its limit')
    found.push(...results.map(({ id, name }) => String(id ?? name)))
    token = page?.next_token ?? ''
    if (token === '') return found
  }
  throw new Error('the pages have no end')
}

/** Whether the evaluation with `id` in the open place is allowed. */
export async function isAllowed(pdp: Pdp, open: Open, body: JsonObject, id: string): Promise<boolean> {
  const part = body[open]
  const filled = open === 'action' ? { name: id } : { ...(part as JsonObject), id }
  const { status, decision } = await exchange(pdp, authzen, '/access/v1/evaluation', {
    ...body,
    [open]: filled,
  })
  return status === 200 && decision?.effect === 'allow'
}

async function exchange(
  { decider, gateway }: Pdp,
  dialect: GatewayDialect,
  rawUrl: string,
  body: JsonObject,
): Promise<Answered> {
  const wire: WireRequest = {
    method: 'POST',
    rawUrl,
    rawHeaders: ['content-type', 'application/json'],
    body: new TextEncoder().encode(JSON.stringify(body)),
    peer: '192.0.2.1',
  }
  const asked = dialect.read(wire, gateway, NOON)
  if (!asked.ok) {
    const { status, body: text } = dialect.refuse(asked.failure, wire)
    return { status, body: JSON.parse(text), decision: undefined }
  }
  const [request] = asked.value.requests
  if (request === undefined) throw new Error('nothing was read')
  const decision = await decider.decide(request, gateway)
  const { status, body: text } = dialect.write([{ decision }], asked.value, wire)
  return { status, body: JSON.parse(text), decision }
}
