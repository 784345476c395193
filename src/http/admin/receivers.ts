import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import {
  addReceiver,
  removeReceiver,
  revokeReceiver,
  rotateReceiver,
  showReceiver,
} from '#admin/receivers.ts'
import { systemClock } from '#lib/clock.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { Problem, unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, namedParam, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const kind = z.enum(['caep', 'webhook']).openapi({
  description: 'Another system that acts on CAEP events, or a gateway that keeps answers.',
})
const key = z.string().openapi({ description: 'Shown this once.' })
const named = z.object({ tenant: z.string(), name: z.string() })

const receiver = z
  .object({
    tenant: z.string(),
    name: z.string(),
    kind,
    stream: z.string().nullable().openapi({ description: 'Null: it has made none, or has deleted it.' }),
    delivery: z.enum(['push', 'poll']).nullable(),
    url: z.string().nullable(),
    audience: z.string(),
    status: z.enum(['enabled', 'paused', 'disabled']),
    status_reason: z.string().nullable(),
    description: z.string().nullable(),
    events_requested: z.array(z.string()).readonly().nullable().openapi({ description: 'Null: everything.' }),
    key_hints: z.array(z.string()).readonly().openapi({ description: 'Beginnings of its credentials.' }),
    created_at: z.string(),
    verification_at: z.string().nullable(),
    waiting: z.int().openapi({ description: 'Events that it has not got yet.' }),
    oldest_waiting_at: z.string().nullable(),
    refused: z.int().openapi({ description: 'Events of the last days that it could not take.' }),
    last_refusal: z.string().nullable(),
    dropped: z.int().openapi({ description: 'Events that its queue had no room for, ever.' }),
  })
  .openapi('Receiver')

const newReceiver = z
  .strictObject({
    name: z.string(),
    kind: kind.default('caep'),
    url: z.string().optional().openapi({
      description:
        'Where events are pushed to. Without it the receiver gets a credential and makes its stream itself.',
    }),
    audience: z.string().optional().openapi({ description: '`aud` of the events.' }),
    private_network: z.boolean().default(false).openapi({
      description: 'Events may be pushed into a private network; only a token for all tenants may set it.',
    }),
  })
  .openapi('NewReceiver')

/** Receivers: who is told of a tenant's revocations. */
export function receiverRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/signal-receivers'),
    summary: 'List receivers by name, with what waits for them',
    request: { params: tenantParam, query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(receiver), 'Receivers.') },
  })
  app.openapi(list, async (c) => {
    const { items, next } = await readPage(
      c.req.valid('query'),
      (asked) => c.get('store').listReceivers(tenantOf(c), asked),
      (row) => row.name,
    )
    return c.json({ items: items.map((row) => ({ ...row })), next }, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-receivers'),
    summary: 'Tell somebody of revocations from now on',
    request: { params: tenantParam, body: body(newReceiver) },
    responses: {
      ...PROBLEMS,
      201: json(named.extend({ kind, audience: z.string(), key: key.nullable() }), 'The receiver.'),
    },
  })
  app.openapi(add, async (c) => {
    const { name, url, audience, private_network: privateNetwork, kind: of } = c.req.valid('json')
    c.get('call').target = name.slice(0, 200)
    // INVARIANT: who administers one tenant can't use the server to reach into the network that it stands in.
    if (c.get('call').token.tenants !== null && privateNetwork)
      throw new Problem(403, 'http.forbidden', 'only a token for all tenants may set `private_network`')
    const request = { tenant: tenantOf(c), name, url, kind: of, audience, privateNetwork }
    return c.json(unwrap(await addReceiver(c.get('store'), request)), 201)
  })

  const show = createRoute({
    ...at('GET /v1/tenants/{tenant}/signal-receivers/{name}'),
    summary: 'Show a receiver, its stream and its queue',
    request: { params: namedParam },
    responses: { ...PROBLEMS, 200: json(receiver, 'The receiver.') },
  })
  app.openapi(show, async (c) => {
    const { name } = c.req.valid('param')
    return c.json({ ...unwrap(await showReceiver(c.get('store'), { tenant: tenantOf(c), name })) }, 200)
  })
  addKeyRoutes(app, at)
}

function addKeyRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const rotate = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-receivers/{name}/rotate'),
    summary: 'Make a new credential for a receiver, its first one too',
    request: {
      params: namedParam,
      body: body(
        z.strictObject({
          keep_seconds: z.int().default(0).openapi({
            description: 'How long the older ones stay valid, 0 to 30 days.',
          }),
        }),
      ),
    },
    responses: { ...PROBLEMS, 201: json(named.extend({ key }), 'The new credential.') },
  })
  app.openapi(rotate, async (c) => {
    const { name } = c.req.valid('param')
    const { keep_seconds: keepSeconds } = c.req.valid('json')
    // INVARIANT: nor with the credential of a receiver that somebody else let in there.
    const mayOpenPrivate = c.get('call').token.tenants === null
    const request = { tenant: tenantOf(c), name, keepSeconds, mayOpenPrivate }
    const rotated = await rotateReceiver(c.get('store'), request, systemClock())
    if (!rotated.ok && rotated.failure.code === 'receiver.private')
      throw new Problem(403, 'http.forbidden', rotated.failure.message, { help: rotated.failure.help })
    return c.json(unwrap(rotated), 201)
  })

  const revoke = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-receivers/{name}/revoke'),
    summary: 'End the credentials of a receiver on every server and disable its stream',
    request: { params: namedParam },
    responses: { ...PROBLEMS, 200: json(named, 'Its credentials stop working.') },
  })
  app.openapi(revoke, async (c) => {
    const { name } = c.req.valid('param')
    return c.json(unwrap(await revokeReceiver(c.get('store'), { tenant: tenantOf(c), name })), 200)
  })

  const remove = createRoute({
    ...at('DELETE /v1/tenants/{tenant}/signal-receivers/{name}'),
    summary: 'Tell a receiver nothing more; what waits for it is dropped',
    request: { params: namedParam },
    responses: { ...PROBLEMS, 200: json(named, 'It is gone.') },
  })
  app.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    return c.json(unwrap(await removeReceiver(c.get('store'), { tenant: tenantOf(c), name })), 200)
  })
}
