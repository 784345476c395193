import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { addGateway, revokeGateway, rotateGateway } from '#admin/gateways.ts'
import { systemClock } from '#lib/clock.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, namedParam, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const KEEP_SECONDS_DEFAULT = 3600

const gateway = z
  .object({
    id: z.string(),
    name: z.string(),
    tenant: z.string(),
    asserts: z.array(z.string()).readonly().nullable().openapi({ description: 'Null: as its dialect.' }),
    user_only: z.boolean(),
    obligations: z.array(z.string()).readonly().nullable().openapi({ description: 'Null: as its dialect.' }),
    key_hints: z.array(z.string()).readonly().openapi({ description: 'Beginnings of its valid keys.' }),
    created_at: z.string(),
    revoked_at: z.string().nullable(),
  })
  .openapi('Gateway')

const newGateway = z
  .strictObject({
    name: z.string(),
    asserts: z.array(z.string()).optional(),
    user_only: z.boolean().default(false),
    obligations: z.array(z.string()).optional(),
    certificate_sha256: z.string().max(200).optional().openapi({
      description: 'SHA-256 of the client certificate that it proves itself with, in place of a key.',
    }),
  })
  .openapi('NewGateway')

const key = z.string().openapi({ description: 'Shown this once.' })

/** Gateways: who may ask for decisions. */
export function gatewayRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/gateways'),
    summary: 'List gateways by name, revoked ones too',
    request: { params: tenantParam, query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(gateway), 'Gateways.') },
  })
  app.openapi(list, async (c) => {
    const page = await readPage(
      c.req.valid('query'),
      (asked) => c.get('store').listGateways(tenantOf(c), asked),
      (row) => row.name,
    )
    return c.json(page, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants/{tenant}/gateways'),
    summary: 'Register a gateway and make its key',
    request: { params: tenantParam, body: body(newGateway) },
    responses: {
      ...PROBLEMS,
      201: json(
        z.object({ key: key.nullable(), gateway: z.string(), name: z.string(), tenant: z.string() }),
        'The gateway with its key.',
      ),
    },
  })
  app.openapi(add, async (c) => {
    const { name, asserts, obligations, ...given } = c.req.valid('json')
    const { user_only: userOnly, certificate_sha256: certificateSha256 } = given
    c.get('call').target = name.slice(0, 200)
    const request = { name, tenant: tenantOf(c), asserts, userOnly, obligations, certificateSha256 }
    return c.json(unwrap(await addGateway(c.get('store'), request)), 201)
  })
  keyRoutes(app, at)
}

function keyRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const rotate = createRoute({
    ...at('POST /v1/tenants/{tenant}/gateways/{name}/rotate'),
    summary: 'Make a new key; older ones stay valid for a while',
    request: {
      params: namedParam,
      body: body(z.strictObject({ keep_seconds: z.int().default(KEEP_SECONDS_DEFAULT) })),
    },
    responses: {
      ...PROBLEMS,
      200: json(z.object({ key, name: z.string(), tenant: z.string() }), 'The new key.'),
    },
  })
  app.openapi(rotate, async (c) => {
    const { name } = c.req.valid('param')
    const { keep_seconds: keepSeconds } = c.req.valid('json')
    const request = { name, tenant: tenantOf(c), keepSeconds }
    return c.json(unwrap(await rotateGateway(c.get('store'), request, systemClock())), 200)
  })

  const revoke = createRoute({
    ...at('POST /v1/tenants/{tenant}/gateways/{name}/revoke'),
    summary: 'End a gateway and all its keys',
    request: { params: namedParam },
    responses: {
      ...PROBLEMS,
      200: json(z.object({ name: z.string(), tenant: z.string() }), 'Its keys stop working.'),
    },
  })
  app.openapi(revoke, async (c) => {
    const { name } = c.req.valid('param')
    return c.json(unwrap(await revokeGateway(c.get('store'), { name, tenant: tenantOf(c) })), 200)
  })
}
