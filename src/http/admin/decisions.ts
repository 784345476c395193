import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { LogCursor, LogFilter, LogRow, QueryLog } from '#decision-log/port.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { Problem } from './problem.ts'
import type { At } from './route.ts'
import { anyObject, json, PROBLEMS, pageOf, pageQuery, pageUnknown, tenantParam } from './shapes.ts'

const decision = z
  .object({
    decision_id: z.string(),
    tenant: z.string(),
    decided_at: z.string(),
    decision: z.enum(['allow', 'deny']),
    reason: z.string(),
    reasons: z.array(anyObject),
    obligations: z.array(anyObject),
    gateway: z.string(),
    dialect: z.string(),
    facts: anyObject.openapi({ description: 'What the request said, masked.' }),
    trace: anyObject,
  })
  .catchall(z.any())
  .openapi('LoggedDecision', {
    description: 'One row of the decision log; fields as `warder logs show --json`.',
  })

const time = z.iso.datetime({ offset: true }).optional()
const word = z.string().max(2_000).optional()
const filters = pageQuery.extend({
  decision: z.enum(['allow', 'deny']).optional(),
  reason: word,
  agent: word,
  user: word,
  tool: word,
  gateway: word.openapi({ description: 'Id of the gateway that asked.' }),
  request_id: word,
  release: word,
  policy: word.openapi({ description: 'A policy that decided or demanded an obligation.' }),
  text: word.openapi({
    description: 'Words that stand together in parties, tool, resource, reasons or facts.',
  }),
  since: time.openapi({ description: 'Decided at this time or later.' }),
  until: time.openapi({ description: 'Decided before this time.' }),
})

/** Decisions: what was decided and why. */
export function decisionRoutes(app: OpenAPIHono<AdminEnv>, at: At, log: QueryLog): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/decisions'),
    summary: 'Page through decisions, newest first',
    request: { params: tenantParam, query: filters },
    responses: { ...PROBLEMS, 200: json(pageOf(decision), 'Decisions.') },
  })
  app.openapi(list, async (c) => {
    const { limit, after, request_id: requestId, ...given } = c.req.valid('query')
    const filter: LogFilter = { ...present({ ...given, requestId }), tenant: tenantOf(c) }
    const page = await log.page(filter, limit, after as LogCursor | undefined).catch((error: unknown) => {
      throw error instanceof RangeError ? pageUnknown() : error
    })
    return c.json({ items: page.rows.map(toAnswer), next: page.next ?? null }, 200)
  })

  const show = createRoute({
    ...at('GET /v1/tenants/{tenant}/decisions/{id}'),
    summary: 'Show one decision with everything that the log keeps',
    request: { params: tenantParam.extend({ id: z.string().max(80) }) },
    responses: { ...PROBLEMS, 200: json(decision, 'The decision.') },
  })
  app.openapi(show, async (c) => {
    const row = await log.find(c.req.valid('param').id)
    // INVARIANT: a decision of another tenant is as unknown as one that was never made.
    if (row === undefined || row.tenant !== tenantOf(c))
      throw new Problem(404, 'decision.unknown', 'there is no such decision of this tenant')
    return c.json(toAnswer(row), 200)
  })
}

type Given = { readonly [filter in keyof LogFilter]?: LogFilter[filter] | undefined }

function present(given: Given): LogFilter {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function toAnswer(row: LogRow) {
  const { reasons, obligations, facts, trace } = row
  return {
    ...row,
    reasons: reasons.map((reason) => ({ ...reason })),
    obligations: obligations.map((obligation) => ({ ...obligation })),
    facts: { ...facts },
    trace: { ...trace },
  }
}
