import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { addTenant, setTenant } from '#admin/tenants.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const tenant = z
  .object({ tenant: z.string(), created_at: z.string(), state_version: z.int() })
  .openapi('Tenant')

const settings = {
  retention_days: z.int().nullable().openapi({ description: 'Days that log rows are kept; null: for ever.' }),
  mask_fields: z
    .array(z.string())
    .readonly()
    .openapi({ description: 'Arguments whose values the log masks.' }),
  rules: z
    .record(z.string(), z.any())
    .openapi('TenantRules', { description: 'What the tenant demands of every call; docs/identity.md.' }),
}

/** Tenants: the isolation units. */
export function tenantRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants'),
    summary: 'List the tenants that the token may see, by name',
    request: { query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(tenant), 'Tenants.') },
  })
  app.openapi(list, async (c) => {
    const { token } = c.get('call')
    const store = c.get('store')
    const page = await readPage(
      c.req.valid('query'),
      (asked) => store.listTenants(asked, token.tenants ?? undefined),
      (row) => row.tenant,
    )
    return c.json(page, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants'),
    summary: 'Add a tenant',
    request: { body: body(z.strictObject({ tenant: z.string() })) },
    responses: { ...PROBLEMS, 201: json(z.object({ tenant: z.string() }), 'The tenant is there.') },
  })
  app.openapi(add, async (c) => {
    const { tenant: name } = c.req.valid('json')
    c.get('call').target = name.slice(0, 200)
    return c.json(unwrap(await addTenant(c.get('store'), name)), 201)
  })
  settingsRoute(app, at)
}

function settingsRoute(app: OpenAPIHono<AdminEnv>, at: At): void {
  const change = createRoute({
    ...at('PATCH /v1/tenants/{tenant}'),
    summary: 'Change settings of a tenant; what is absent stays. An empty object shows them',
    request: { params: tenantParam, body: body(z.strictObject(settings).partial()) },
    responses: { ...PROBLEMS, 200: json(z.object({ tenant: z.string(), ...settings }), 'The settings.') },
  })
  app.openapi(change, async (c) => {
    const { retention_days: days, mask_fields: fields, rules } = c.req.valid('json')
    const changes = {
      ...(days !== undefined && { retention_days: days }),
      ...(fields !== undefined && { mask_fields: fields }),
      ...(rules !== undefined && { rules }),
    }
    const set = unwrap(await setTenant(c.get('store'), tenantOf(c), changes))
    return c.json({ ...set, rules: { ...set.rules } }, 200)
  })
}
