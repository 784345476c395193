import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { AGENT_ACTIONS, addAgent, agentUnknown, stepAgent } from '#admin/agents.ts'
import { systemClock } from '#lib/clock.ts'
import { failed, success } from '#lib/result.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const agent = z
  .object({
    agent: z.string(),
    tenant: z.string(),
    status: z.string().openapi({ description: '`pending`, `active`, `suspended` or `retired`.' }),
    owner: z.string().nullable(),
    blueprints: z.array(z.string()).readonly(),
    groups: z.array(z.string()).readonly(),
    environment: z.string().nullable(),
    issuer: z.string().nullable(),
    expires_at: z.string().nullable(),
    spawned_by: z.string().nullable(),
    last_decision_at: z.string().nullable(),
  })
  .openapi('Agent')

const newAgent = z
  .strictObject({
    agent: z.string().openapi({ description: 'Its id, as tokens and gateways name it.' }),
    owner: z.string().optional().openapi({ description: 'User who answers for it.' }),
    blueprints: z.array(z.string()).optional(),
    groups: z.array(z.string()).optional(),
    environment: z.string().optional(),
    issuer: z.string().optional().openapi({ description: 'The only token issuer that may name it.' }),
    expires_in_seconds: z.int().min(1).optional().openapi({ description: 'Absent: it has no end.' }),
    reason: z.string(),
  })
  .openapi('NewAgent')

const step = z
  .strictObject({
    action: z.enum(AGENT_ACTIONS),
    owner: z.string().optional().openapi({ description: 'Becomes its owner.' }),
    reason: z.string(),
  })
  .openapi('AgentStep')

const query = pageQuery.extend({
  id: z.string().optional().openapi({ description: 'Only this agent; 404 when there is none.' }),
  dormant_days: z.coerce.number().int().min(1).max(36_500).optional().openapi({
    description: 'Only those without a decision for so many days.',
  }),
  ownerless: z
    .enum(['true', 'false'])
    .default('false')
    .openapi({ description: 'Only those without an owner.' }),
  issuerless: z
    .enum(['true', 'false'])
    .default('false')
    .openapi({ description: 'Only those without an issuer that are not retired.' }),
})

/** Agents: from their registration to their end. Ids may be URLs, so they stand in the query. */
export function agentRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/agents'),
    summary: 'List agents by id',
    request: { params: tenantParam, query },
    responses: { ...PROBLEMS, 200: json(pageOf(agent), 'Agents.') },
  })
  app.openapi(list, async (c) => {
    const { id, dormant_days: dormantDays, ownerless, issuerless, ...asked } = c.req.valid('query')
    const store = c.get('store')
    if (id !== undefined) {
      const found = await store.findAgent(tenantOf(c), id)
      return c.json(
        { items: [unwrap(found === undefined ? failed(agentUnknown(id)) : success(found))], next: null },
        200,
      )
    }
    const filter = { dormantDays, ownerless: ownerless === 'true', issuerless: issuerless === 'true' }
    const { items, next } = await readPage(
      asked,
      (page) => store.listAgents(tenantOf(c), filter, page),
      (row) => row.agent,
    )
    return c.json({ items, next }, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants/{tenant}/agents'),
    summary: 'Register an agent; it can do nothing before it is activated',
    request: { params: tenantParam, body: body(newAgent) },
    responses: { ...PROBLEMS, 201: json(agent, 'The agent is registered.') },
  })
  app.openapi(add, async (c) => {
    const { expires_in_seconds: expiresInSeconds, ...given } = c.req.valid('json')
    c.get('call').target = given.agent.slice(0, 200)
    const request = { ...given, expiresInSeconds, tenant: tenantOf(c) }
    return c.json(unwrap(await addAgent(c.get('store'), request, systemClock())), 201)
  })

  const change = createRoute({
    ...at('PATCH /v1/tenants/{tenant}/agents'),
    summary: 'Activate, suspend, resume or retire an agent',
    request: { params: tenantParam, query: z.object({ id: z.string() }), body: body(step) },
    responses: { ...PROBLEMS, 200: json(agent, 'The agent is in its new state.') },
  })
  app.openapi(change, async (c) => {
    const { action, ...given } = c.req.valid('json')
    const { id } = c.req.valid('query')
    c.get('call').target = id.slice(0, 200)
    const request = { ...given, agent: id, tenant: tenantOf(c) }
    return c.json(unwrap(await stepAgent(c.get('store'), action, request, systemClock())), 200)
  })
}
