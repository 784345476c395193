import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { putIssuer, reloadIssuer, removeIssuer } from '#admin/issuers.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { Problem, unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const issuer = z
  .object({
    issuer: z.string(),
    audience: z.array(z.string()).readonly(),
    algorithms: z.array(z.string()).readonly(),
  })
  .catchall(z.any())
  .openapi('Issuer')
const changed = z.object({ issuer: z.string(), tenant: z.string() })
const stored = changed.extend({
  warnings: z.array(z.string()).openapi({ description: 'What an administrator has to know about it.' }),
})

/** Issuers: whose access tokens are believed. */
export function issuerRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/issuers'),
    summary: 'List issuers by name',
    request: { params: tenantParam, query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(issuer), 'Issuers.') },
  })
  app.openapi(list, async (c) => {
    const { items, next } = await readPage(
      c.req.valid('query'),
      (asked) => c.get('store').listIssuers(tenantOf(c), asked),
      (row) => row.issuer,
    )
    return c.json({ items: items.map((row) => ({ ...row })), next }, 200)
  })

  const add = createRoute({
    ...at('PUT /v1/tenants/{tenant}/issuers'),
    summary: 'Add an issuer, or replace the one of the same name',
    request: {
      params: tenantParam,
      body: body(
        z.looseObject({ issuer: z.string() }).openapi('IssuerFile', {
          description:
            'As the issuer file of `warder issuer add`: issuer, audience, jwks or jwks_uri, and options.',
        }),
      ),
    },
    responses: { ...PROBLEMS, 200: json(stored, 'The issuer is believed.') },
  })
  app.openapi(add, async (c) => {
    const given = c.req.valid('json')
    const { token } = c.get('call')
    c.get('call').target = given.issuer.slice(0, 200)
    // INVARIANT: who administers one tenant can't use the server to reach into the network that it stands in.
    if (token.tenants !== null && given['private_network'] === true)
      throw new Problem(403, 'http.forbidden', 'only a token for all tenants may set `private_network`')
    const request = { tenant: tenantOf(c), text: JSON.stringify(given) }
    const { warnings, ...put } = unwrap(await putIssuer(c.get('store'), request))
    return c.json({ ...put, warnings: [...warnings] }, 200)
  })

  const reload = createRoute({
    ...at('POST /v1/tenants/{tenant}/issuers/reload'),
    summary: 'Make every server forget the keys of an issuer and fetch them anew',
    request: { params: tenantParam, body: body(z.strictObject({ issuer: z.string() })) },
    responses: { ...PROBLEMS, 200: json(changed, 'Its keys are fetched anew.') },
  })
  app.openapi(reload, async (c) => {
    const { issuer: name } = c.req.valid('json')
    c.get('call').target = name.slice(0, 200)
    return c.json(unwrap(await reloadIssuer(c.get('store'), { tenant: tenantOf(c), issuer: name })), 200)
  })

  const remove = createRoute({
    ...at('DELETE /v1/tenants/{tenant}/issuers'),
    summary: 'End the trust in an issuer',
    request: { params: tenantParam, query: z.object({ issuer: z.string() }) },
    responses: { ...PROBLEMS, 200: json(changed, 'Its tokens are not believed any more.') },
  })
  app.openapi(remove, async (c) => {
    const { issuer: name } = c.req.valid('query')
    c.get('call').target = name.slice(0, 200)
    return c.json(unwrap(await removeIssuer(c.get('store'), { tenant: tenantOf(c), issuer: name })), 200)
  })
}
