import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { AuthorizationRequest, Malformed, Search } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { authzen, authzenAnswer, readEvaluation, toldChallenge } from './authzen.ts'
import { authzenObligations } from './authzen-obligations.ts'
import { partyOf } from './authzen-parties.ts'
import { searchSchemas } from './authzen-schema.ts'
import { readJsonBody } from './json-body.ts'
import { fromSchemaError } from './schema-error.ts'
import type { GatewayDialect, WireRequest, WireResponse } from './wire.ts'

type Open = Search['open']

/** Members of `context.warder` that are new for each request and say nothing about what is looked for. */
const NEW_EACH_TIME = ['credentials', 'proofs'] as const

/** Why nothing was looked for at all: an empty list would say that nothing is permitted, and that it is the whole of it. */
const UNANSWERED: { readonly [code: string]: 400 | 500 | 503 } = {
  'search.page_token': 400,
  'internal.fault': 500,
  'log.unavailable': 503,
  'log.overflow': 503,
  'state.stale': 503,
  'state.rolled_back': 503,
}

/**
 * AuthZEN Authorization API 1.0, section 8: `POST /access/v1/search/subject`, `/resource` and `/action`.
 *
 * A search is the evaluation that its body would be with an id in the place of the open one, asked for each candidate. Who may not ask
 * gets an empty list, like one to whom nothing is permitted.
 */
export const authzenSearch: GatewayDialect = {
  read(wire, _gateway, now) {
    const body = readJsonBody(wire)
    if (!body.ok) return body
    const request = readSearch(body.value, openOf(wire), wire, now)
    return request.ok
      ? success({ requests: [request.value], semantic: 'single', itemErrors: new Map() })
      : request
  },
  write([item], { requests: [request] }) {
    if (item === undefined || !('decision' in item) || request?.search === undefined)
      return authzenAnswer(500, 'internal.fault: the search could not be answered')
    return answerOf(item.decision, request, request.search)
  },
  refuse: authzen.refuse,
}

function openOf({ rawUrl }: WireRequest): Open {
  const path = rawUrl.split('?', 1)[0] ?? ''
  return path.endsWith('/subject') ? 'subject' : path.endsWith('/action') ? 'action' : 'resource'
}

function readSearch(
  body: JsonObject,
  open: Open,
  wire: WireRequest,
  now: EpochMilliseconds,
): Result<AuthorizationRequest, Malformed> {
  const parsed = searchSchemas[open].safeParse(body)
  if (!parsed.success) return failed(fromSchemaError(parsed.error, body, () => []))
  const { page } = parsed.data
  const fill = (id: string): JsonObject => filled(body, open, id)
  // What is named in it must be readable whatever is found; the open part has no type yet, so it is no tool and nobody.
  const known = readEvaluation(filled(body, open, '', ''), wire, now)
  if (!known.ok) return known
  const sought = open === 'action' ? undefined : body[open]
  const type = isJsonObject(sought) && typeof sought['type'] === 'string' ? sought['type'] : ''
  const party = open === 'subject' ? partyOf(type) : undefined
  const search: Search = {
    open,
    type,
    ...(party !== undefined && { party }),
    question: questionOf(body, open),
    size: wire.body.length,
    token: page?.token === '' ? undefined : (page?.token ?? undefined),
    limit: page?.limit ?? undefined,
    ask(id) {
      const read = readEvaluation(fill(id), wire, now)
      return read.ok ? read.value : undefined
    },
  }
  return success({ ...known.value, [open]: undefined, search })
}

/** The evaluation with `id` in the open place. An id that is there already is ignored, and an open action has no properties. */
function filled(body: JsonObject, open: Open, id: string, type?: string): JsonObject {
  if (open === 'action') return { ...body, action: { name: id } }
  const sought = body[open]
  return { ...body, [open]: { ...(isJsonObject(sought) && sought), id, ...(type !== undefined && { type }) } }
}

/** Everything that decides what is found. */
function questionOf(body: JsonObject, open: Open): JsonObject {
  const { subject = null, resource = null, action = null, context = null } = body
  const part = (name: Open, value: Json): Json => {
    if (name !== open || !isJsonObject(value)) return value
    const { id: _id, ...rest } = value
    return rest
  }
  return {
    subject: part('subject', subject),
    resource: part('resource', resource),
    action: open === 'action' ? null : action,
    context: isJsonObject(context) ? lasting(context) : null,
  }
}

function lasting(context: JsonObject): JsonObject {
  const own = context['warder']
  if (!isJsonObject(own)) return context
  const kept = Object.entries(own).filter(([name]) => !NEW_EACH_TIME.some((each) => each === name))
  return { ...context, warder: Object.fromEntries(kept) }
}

function answerOf(decision: Decision, request: AuthorizationRequest, search: Search): WireResponse {
  const [reason] = decision.reasons
  const status = reason && UNANSWERED[reason.code]
  if (reason !== undefined && status !== undefined && decision.effect === 'deny')
    return authzenAnswer(status, `${reason.code}: ${reason.message ?? ''}`)
  const found = decision.effect === 'allow' ? decision.found : undefined
  const { results = [], nextToken = '' } = found ?? {}
  const told = toldChallenge(decision)
  const nonce = decision.proofNonce
  const page = { next_token: nextToken, count: results.length }
  const isPaged = nextToken !== '' || search.token !== undefined || search.limit !== undefined
  const body = {
    ...(isPaged && { page }),
    ...(told !== undefined && { context: { challenge: told } }),
    results: results.map(({ id, obligations }) => ({
      ...(search.open === 'action' ? { name: id } : { type: search.type, id }),
      ...(obligations.length > 0 && {
        obligations: authzenObligations(obligations, request.context['decision_subject']),
      }),
    })),
  }
  return authzenAnswer(200, body, nonce === undefined ? [] : [['dpop-nonce', nonce]])
}
