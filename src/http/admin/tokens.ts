import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ADMIN_ROLES } from '#admin/roles.ts'
import { addToken, revokeToken } from '#admin/tokens.ts'
import { systemClock } from '#lib/clock.ts'
import type { AdminEnv } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, readPage } from './shapes.ts'

const role = z.enum(ADMIN_ROLES).openapi({ description: 'Each role includes the ones before it.' })
const tenants = z.array(z.string()).readonly().nullable().openapi({ description: 'Null: all.' })

const listed = z
  .object({
    name: z.string(),
    role,
    tenants,
    hint: z.string().openapi({ description: 'The beginning of the token.' }),
    created_at: z.string(),
    expires_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
  })
  .openapi('Token')

const added = z
  .object({
    token: z.string().openapi({ description: 'Shown this once.' }),
    name: z.string(),
    role,
    tenants,
    expires_at: z.string().nullable(),
  })
  .openapi('AddedToken')

const request = z
  .strictObject({
    name: z.string(),
    role,
    tenants: z.array(z.string()).optional().openapi({ description: 'Absent: all.' }),
    expires_in_seconds: z
      .int()
      .optional()
      .openapi({ description: '60 to five years. Absent: it has no end.' }),
  })
  .openapi('NewToken')

/** Tokens: who may use this API. A token for some tenants sees and makes only tokens that see no more. */
export function tokenRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tokens'),
    summary: 'List admin tokens by name',
    request: { query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(listed), 'Tokens.') },
  })
  app.openapi(list, async (c) => {
    const page = await readPage(
      c.req.valid('query'),
      (asked) => c.get('store').listAdminTokens(c.get('call').token.tenants, asked),
      (row) => row.name,
    )
    return c.json(page, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tokens'),
    summary: 'Make an admin token',
    request: { body: body(request) },
    responses: { ...PROBLEMS, 201: json(added, 'The token.') },
  })
  app.openapi(add, async (c) => {
    const { expires_in_seconds: expiresInSeconds, ...given } = c.req.valid('json')
    const call = c.get('call')
    call.target = given.name.slice(0, 200)
    const made = { ...given, tenants: given.tenants, expiresInSeconds }
    return c.json(unwrap(await addToken(c.get('store'), made, call.token, systemClock())), 201)
  })

  const revoke = createRoute({
    ...at('POST /v1/tokens/{name}/revoke'),
    summary: 'End a token at once',
    request: { params: z.object({ name: z.string().max(200) }) },
    responses: { ...PROBLEMS, 200: json(z.object({ name: z.string() }), 'It stops working.') },
  })
  app.openapi(revoke, async (c) => {
    const { name } = c.req.valid('param')
    return c.json(unwrap(await revokeToken(c.get('store'), name, c.get('call').token)), 200)
  })
}
