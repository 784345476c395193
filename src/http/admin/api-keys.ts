import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { ApiKeyListing } from '#admin/api-key-ports.ts'
import { addApiKey, revokeApiKey, rotateApiKey } from '#admin/api-keys.ts'
import { systemClock } from '#lib/clock.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, namedParam, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const KEEP_SECONDS_DEFAULT = 86_400

const listing = {
  id: z.string().openapi({ description: 'On deny lists it is the token `urn:warder:api-key|ID`.' }),
  tenant: z.string(),
  name: z.string(),
  agent: z.string(),
  hint: z.string().openapi({ description: 'Its beginning.' }),
  bound_to: z
    .object({ jkt: z.string().optional(), x5t: z.string().optional() })
    .nullable()
    .openapi({ description: 'Thumbprints of the key and the certificate that must be proven beside it.' }),
  scopes: z.array(z.string()),
  gateways: z
    .array(z.string())
    .nullable()
    .openapi({ description: 'Gateways that it may come through; null: any that accept API keys.' }),
  created_at: z.string(),
  created_by: z.string(),
  expires_at: z.string(),
  revoked_at: z.string().nullable(),
}
const apiKey = z.object(listing).openapi('ApiKey')
const added = z
  .object({ ...listing, key: z.string().openapi({ description: 'Shown this once.' }) })
  .openapi('AddedApiKey')
const expires = z.int().optional().openapi({ description: '60 seconds to one year. Default 90 days.' })

const newKey = z
  .strictObject({
    name: z.string(),
    agent: z.string(),
    expires_in_seconds: expires,
    certificate: z.string().max(200).optional().openapi({
      description: 'SHA-256 of a certificate that must be proven beside it.',
    }),
    key: z.string().max(200).optional().openapi({
      description: 'Thumbprint (RFC 7638) of a public key that must be proven beside it, by DPoP.',
    }),
    scopes: z.array(z.string().max(256)).max(100).optional().openapi({
      description: 'What it counts as having where a tool demands scopes. Default none.',
    }),
    gateways: z.array(z.string().max(100)).min(1).max(100).optional().openapi({
      description: 'Gateways that it may come through. Default: any that accept API keys.',
    }),
  })
  .openapi('NewApiKey')

const query = pageQuery.extend({
  agent: z.string().optional(),
  all: z.enum(['true', 'false']).default('false').openapi({ description: 'Revoked and expired ones too.' }),
})

/** API keys: secrets of agents that get no tokens. */
export function apiKeyRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/api-keys'),
    summary: 'List API keys by name, one row for each secret',
    request: { params: tenantParam, query },
    responses: { ...PROBLEMS, 200: json(pageOf(apiKey), 'API keys.') },
  })
  app.openapi(list, async (c) => {
    const { agent, all, ...asked } = c.req.valid('query')
    const { items, next } = await readPage(
      asked,
      (page) => c.get('store').listApiKeys(tenantOf(c), { agent, includeOver: all === 'true' }, page),
      (row) => `${row.name}/${row.id}`,
    )
    return c.json({ items: items.map(shown), next }, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants/{tenant}/api-keys'),
    summary: 'Make an API key for an agent',
    request: { params: tenantParam, body: body(newKey) },
    responses: { ...PROBLEMS, 201: json(added, 'The key, shown this once.') },
  })
  app.openapi(add, async (c) => {
    const { expires_in_seconds: expiresInSeconds, ...given } = c.req.valid('json')
    c.get('call').target = `api key ${given.name.slice(0, 80)}`
    const request = { ...given, expiresInSeconds, tenant: tenantOf(c) }
    return c.json(shown(unwrap(await addApiKey(c.get('store'), request, systemClock()))), 201)
  })
  addRotate(app, at)
  addRevoke(app, at)
}

function shown<Row extends ApiKeyListing>({ scopes, gateways, ...row }: Row) {
  return { ...row, scopes: [...scopes], gateways: gateways && [...gateways] }
}

function addRotate(app: OpenAPIHono<AdminEnv>, at: At): void {
  const rotate = createRoute({
    ...at('POST /v1/tenants/{tenant}/api-keys/{name}/rotate'),
    summary: 'Make a new secret of a key',
    request: {
      params: namedParam,
      body: body(
        z.strictObject({
          keep_seconds: z.int().default(KEEP_SECONDS_DEFAULT).openapi({
            description: 'How long the older secrets stay valid, 0 to 30 days.',
          }),
          expires_in_seconds: expires,
        }),
      ),
    },
    responses: { ...PROBLEMS, 201: json(added, 'The new secret, shown this once.') },
  })
  app.openapi(rotate, async (c) => {
    const { name } = c.req.valid('param')
    const { keep_seconds: keepSeconds, expires_in_seconds: expiresInSeconds } = c.req.valid('json')
    c.get('call').target = `api key ${name.slice(0, 80)}`
    const request = { tenant: tenantOf(c), name, keepSeconds, expiresInSeconds }
    return c.json(shown(unwrap(await rotateApiKey(c.get('store'), request, systemClock()))), 201)
  })
}

function addRevoke(app: OpenAPIHono<AdminEnv>, at: At): void {
  const revoke = createRoute({
    ...at('POST /v1/tenants/{tenant}/api-keys/{name}/revoke'),
    summary: 'End every secret of a key on every server',
    request: { params: namedParam, body: body(z.strictObject({ reason: z.string() })) },
    responses: {
      ...PROBLEMS,
      200: json(z.object({ name: z.string(), revoked: z.array(apiKey) }), 'They are on the deny list.'),
    },
  })
  app.openapi(revoke, async (c) => {
    const { name } = c.req.valid('param')
    const { reason } = c.req.valid('json')
    c.get('call').target = `api key ${name.slice(0, 80)}`
    const { revoked } = unwrap(await revokeApiKey(c.get('store'), { tenant: tenantOf(c), name, reason }))
    return c.json({ name, revoked: revoked.map(shown) }, 200)
  })
}
