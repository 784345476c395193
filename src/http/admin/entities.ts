import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { importRegistry } from '#admin/import-registry.ts'
import { uidKey } from '#model/value.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { anyObject, body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const REMOVED_MAX = 1_000

const uid = z
  .strictObject({ type: z.string().min(1).max(500), id: z.string().max(2_000) })
  .openapi('EntityUid')
const entity = z
  .object({
    uid,
    attrs: anyObject,
    tags: anyObject,
    parents: z.array(uid).readonly(),
  })
  .openapi('Entity')

/** Registry: users, agents, tools, resources and their groups. */
export function entityRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/entities'),
    summary: 'List registered entities by type and id',
    request: {
      params: tenantParam,
      query: pageQuery.extend({ type: z.string().optional().openapi({ example: 'Warder::Agent' }) }),
    },
    responses: { ...PROBLEMS, 200: json(pageOf(entity), 'Entities.') },
  })
  app.openapi(list, async (c) => {
    const { type, ...asked } = c.req.valid('query')
    const { items, next } = await readPage(
      asked,
      (page) => c.get('store').listEntities(tenantOf(c), type, page),
      (row) => uidKey(row.uid),
    )
    return c.json(
      { items: items.map((row) => ({ ...row, attrs: { ...row.attrs }, tags: { ...row.tags } })), next },
      200,
    )
  })

  const load = createRoute({
    ...at('POST /v1/tenants/{tenant}/entities/import'),
    summary: 'Insert or replace the entities of a registry file; all of them or none',
    request: {
      params: tenantParam,
      body: body(
        z
          .looseObject({})
          .openapi('RegistryFile', { description: 'As the file of `warder registry import`.' }),
      ),
    },
    responses: {
      ...PROBLEMS,
      200: json(
        z.object({ tenant: z.string(), entities: z.int(), version: z.int() }),
        'State version with the import.',
      ),
    },
  })
  app.openapi(load, async (c) => {
    c.get('call').target = 'registry'
    // The text as it came: parsed again, a key that stands twice in it would be lost without a word.
    const request = { tenant: tenantOf(c), text: await c.req.text() }
    return c.json(unwrap(await importRegistry(c.get('store'), request)), 200)
  })

  const remove = createRoute({
    ...at('POST /v1/tenants/{tenant}/entities/remove'),
    summary: 'Remove entities; those that are not there are not counted',
    request: {
      params: tenantParam,
      body: body(z.strictObject({ entities: z.array(uid).min(1).max(REMOVED_MAX) })),
    },
    responses: { ...PROBLEMS, 200: json(z.object({ removed: z.int() }), 'How many were there.') },
  })
  app.openapi(remove, async (c) => {
    c.get('call').target = 'registry'
    const { entities } = c.req.valid('json')
    return c.json({ removed: await c.get('store').removeEntities(tenantOf(c), entities) }, 200)
  })
}
