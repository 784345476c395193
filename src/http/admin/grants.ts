import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { addGrant, revokeGrant } from '#admin/grants.ts'
import { systemClock } from '#lib/clock.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { anyObject, body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const grant = z
  .object({
    grant: z.string(),
    tenant: z.string(),
    from: z.string(),
    to: z.string(),
    scopes: z.array(z.string()).readonly().nullable(),
    tools: z.array(z.string()).readonly().nullable(),
    authorization_details: z.array(anyObject).readonly().nullable(),
    expires_at: z.string().nullable(),
    created_at: z.string(),
    created_by: z.string(),
    reason: z.string(),
    revoked_at: z.string().nullable(),
    revoked_reason: z.string().nullable(),
  })
  .openapi('Grant')

const newGrant = z
  .strictObject({
    from: z.string().openapi({ description: '`user:ID`, `user:*` for every user, or `agent:ID`.' }),
    to: z.string().openapi({ description: 'Id of the agent that may act.' }),
    scopes: z.array(z.string()).optional().openapi({ description: 'At most these; absent: no limit.' }),
    tools: z.array(z.string()).optional().openapi({ description: 'Ids or `server/*`; absent: no limit.' }),
    authorization_details: z.array(anyObject).optional().openapi({
      description: 'RFC 9396 objects, one of which a call must fit; absent: no limit.',
    }),
    expires_in_seconds: z.int().optional().openapi({ description: 'Absent: until it is revoked.' }),
    reason: z.string(),
  })
  .openapi('NewGrant')

const query = pageQuery.extend({
  to: z.string().optional(),
  from: z.string().optional(),
  all: z.enum(['true', 'false']).default('false').openapi({ description: 'Revoked and expired ones too.' }),
})

/** Delegation grants: who may act for whom. */
export function grantRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/grants'),
    summary: 'List delegation grants by id',
    request: { params: tenantParam, query },
    responses: { ...PROBLEMS, 200: json(pageOf(grant), 'Grants.') },
  })
  app.openapi(list, async (c) => {
    const { to, from, all, ...asked } = c.req.valid('query')
    const { items, next } = await readPage(
      asked,
      (page) => c.get('store').listGrants(tenantOf(c), { to, from, includeOver: all === 'true' }, page),
      (row) => row.grant,
    )
    return c.json({ items, next }, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants/{tenant}/grants'),
    summary: 'Let an agent act for a user or for another agent',
    request: { params: tenantParam, body: body(newGrant) },
    responses: { ...PROBLEMS, 201: json(grant, 'The grant is in force.') },
  })
  app.openapi(add, async (c) => {
    const {
      authorization_details: authorizationDetails,
      expires_in_seconds: expiresInSeconds,
      ...given
    } = c.req.valid('json')
    const request = { ...given, authorizationDetails, expiresInSeconds, tenant: tenantOf(c) }
    const added = unwrap(await addGrant(c.get('store'), request, systemClock()))
    c.get('call').target = added.grant
    return c.json(added, 201)
  })

  const revoke = createRoute({
    ...at('DELETE /v1/tenants/{tenant}/grants/{id}'),
    summary: 'End a grant, and with it every delegation that rests on it',
    request: {
      params: tenantParam.extend({ id: z.string().max(80) }),
      query: z.object({ reason: z.string() }),
    },
    responses: { ...PROBLEMS, 200: json(grant, 'The grant has ended.') },
  })
  app.openapi(revoke, async (c) => {
    const { reason } = c.req.valid('query')
    const request = { tenant: tenantOf(c), grant: c.req.valid('param').id, reason }
    return c.json(unwrap(await revokeGrant(c.get('store'), request)), 200)
  })
}
