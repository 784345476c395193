import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { addGateway, revokeGateway, rotateGateway, setGateway } from '#admin/gateways.ts'
import { systemClock } from '#lib/clock.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, namedParam, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const KEEP_SECONDS_DEFAULT = 3600

const url = z.string().max(1_024)
const settings = z
  .strictObject({
    externalUrl: url.optional().openapi({ description: 'Base URL that clients reach it under.' }),
    externalHosts: z.array(z.string()).readonly().optional().openapi({ description: 'Further hosts.' }),
    certificateSource: z.string().optional().openapi({
      description: 'How it passes client certificates on: tls, envoy, xfcc, nginx or rfc9440.',
    }),
    audience: z
      .array(z.string())
      .readonly()
      .optional()
      .openapi({ description: 'Audiences that tokens must have, beside what their issuer demands.' }),
    resourceMetadata: url.optional().openapi({ description: 'URL of its protected resource metadata.' }),
    apiKeys: z.enum(['accept']).optional().openapi({ description: 'Agents may send API keys through it.' }),
  })
  .openapi('GatewaySettings')

const settingsChange = z
  .strictObject({
    externalUrl: url.nullish(),
    externalHosts: z.array(z.string()).nullish(),
    certificateSource: z.string().nullish(),
    audience: z.array(z.string()).nullish(),
    resourceMetadata: url.nullish(),
    apiKeys: z.enum(['accept']).nullish(),
  })
  .openapi('GatewaySettingsChange', { description: 'What is given changes; null removes.' })

const gateway = z
  .object({
    id: z.string(),
    name: z.string(),
    tenant: z.string(),
    asserts: z.array(z.string()).readonly().nullable().openapi({ description: 'Null: as its dialect.' }),
    user_only: z.boolean(),
    obligations: z.array(z.string()).readonly().nullable().openapi({ description: 'Null: as its dialect.' }),
    settings: settings.nullable(),
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
    settings: settings.optional(),
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
    const { user_only: userOnly, certificate_sha256: certificateSha256, settings: own = {} } = given
    c.get('call').target = name.slice(0, 200)
    const facts = { asserts, userOnly, obligations, certificateSha256 }
    const request = { name, tenant: tenantOf(c), ...facts, settings: own }
    return c.json(unwrap(await addGateway(c.get('store'), request)), 201)
  })
  settingsRoute(app, at)
  keyRoutes(app, at)
}

function settingsRoute(app: OpenAPIHono<AdminEnv>, at: At): void {
  const set = createRoute({
    ...at('PATCH /v1/tenants/{tenant}/gateways/{name}'),
    summary: 'Change what a gateway is registered with beyond its key',
    request: { params: namedParam, body: body(settingsChange) },
    responses: {
      ...PROBLEMS,
      200: json(
        z.object({ gateway: z.string(), name: z.string(), tenant: z.string(), settings }),
        'The settings that count from now on.',
      ),
    },
  })
  app.openapi(set, async (c) => {
    const { name } = c.req.valid('param')
    const request = { name, tenant: tenantOf(c), settings: c.req.valid('json') }
    return c.json(unwrap(await setGateway(c.get('store'), request)), 200)
  })
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
