import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { acceptFederation, proposeFederation, toListing, withdrawFederation } from '#admin/federations.ts'
import { systemClock } from '#lib/clock.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const federation = z
  .object({
    federation: z.string(),
    home: z.string().openapi({ description: 'Tenant in which the agents may act.' }),
    foreign: z.string().openapi({ description: 'Tenant to which they belong.' }),
    agents: z.array(z.string()).readonly(),
    tools: z.array(z.string()).readonly(),
    roles: z.array(z.string()).readonly(),
    ends_at: z.string(),
    proposed_at: z.string(),
    signed_by: z.array(z.string()).readonly(),
    withdrawn_at: z.string().nullable(),
    withdrawn_by: z.string().nullable(),
    state: z.string().openapi({ description: '`proposed`, `in force`, `expired`, `withdrawn` or `broken`.' }),
  })
  .openapi('Federation')

const proposal = z
  .strictObject({
    with: z.string().openapi({ description: 'The other tenant, which has to accept.' }),
    direction: z.enum(['in', 'out']).openapi({
      description: '`in`: its agents may act here. `out`: ours may act there.',
    }),
    agents: z.array(z.string()),
    tools: z.array(z.string()).openapi({ description: 'Ids, `server/*`, or `*`.' }),
    roles: z
      .array(z.enum(['subject', 'actor']))
      .optional()
      .openapi({ description: 'Default: both.' }),
    expires_in_seconds: z.int(),
  })
  .openapi('NewFederation')

const idParam = tenantParam.extend({ id: z.string().max(80) })

/** Federations: agents of one tenant that may act in another, as both have signed. */
export function federationRoutes(
  app: OpenAPIHono<AdminEnv>,
  at: At,
  secret: () => Promise<Uint8Array>,
): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/federations'),
    summary: 'List the federations that a tenant takes part in, by id',
    request: { params: tenantParam, query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(federation), 'Federations.') },
  })
  app.openapi(list, async (c) => {
    const now = systemClock()
    const { items, next } = await readPage(
      c.req.valid('query'),
      (page) => c.get('store').listFederations(tenantOf(c), page),
      (row) => row.id,
    )
    return c.json({ items: items.map((row) => toListing(row, now)), next }, 200)
  })

  const propose = createRoute({
    ...at('POST /v1/tenants/{tenant}/federations'),
    summary: 'Propose a federation to another tenant, signed by this one',
    request: { params: tenantParam, body: body(proposal) },
    responses: { ...PROBLEMS, 201: json(federation, 'It waits for the other side.') },
  })
  app.openapi(propose, async (c) => {
    const { expires_in_seconds: expiresInSeconds, ...given } = c.req.valid('json')
    const request = { ...given, expiresInSeconds, tenant: tenantOf(c) }
    const made = unwrap(await proposeFederation(c.get('store'), await secret(), request, systemClock()))
    c.get('call').target = made.federation
    return c.json(made, 201)
  })

  const accept = createRoute({
    ...at('POST /v1/tenants/{tenant}/federations/{id}/accept'),
    summary: 'Accept and sign what the other side has proposed',
    request: { params: idParam },
    responses: { ...PROBLEMS, 200: json(federation, 'It is in force.') },
  })
  app.openapi(accept, async (c) => {
    const request = { tenant: tenantOf(c), federation: c.req.valid('param').id }
    return c.json(unwrap(await acceptFederation(c.get('store'), await secret(), request, systemClock())), 200)
  })

  const withdraw = createRoute({
    ...at('POST /v1/tenants/{tenant}/federations/{id}/withdraw'),
    summary: 'End a federation at once; either side may',
    request: { params: idParam, body: body(z.strictObject({ reason: z.string() })) },
    responses: { ...PROBLEMS, 200: json(federation, 'It is over.') },
  })
  app.openapi(withdraw, async (c) => {
    const request = { tenant: tenantOf(c), federation: c.req.valid('param').id, ...c.req.valid('json') }
    return c.json(unwrap(await withdrawFederation(c.get('store'), request, systemClock())), 200)
  })
}
