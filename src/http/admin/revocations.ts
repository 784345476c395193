import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { revokeTokensOf } from '#admin/global-token-revocation.ts'
import { liftRevocation, revoke } from '#admin/revocation.ts'
import { revocationKey } from '#admin/revocation-ports.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { REVOCATION_KINDS } from '#model/revocation.ts'
import type { RouteKey } from './access.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, pageUnknown, readPage, tenantParam } from './shapes.ts'

const MODES = ['deny', 'kill', 'breaker'] as const

const revocation = z
  .object({
    revocation: z.string().openapi({ description: 'Names this revocation; lift it by that.' }),
    tenant: z.string().nullable().openapi({ description: 'Null: the whole installation.' }),
    kind: z.enum(REVOCATION_KINDS),
    id: z.string(),
    mode: z.enum(MODES),
    source: z.enum(['admin', 'signal', 'breaker']),
    reason: z.string(),
    actor: z.string(),
    issued_before: z.string().nullable(),
    created_at: z.string(),
    expires_at: z.string().nullable(),
    lifted_at: z.string().nullable(),
    lifted_by: z.string().nullable(),
    version: z.int().openapi({ description: 'State version from which it counts.' }),
  })
  .openapi('Revocation')

const newRevocation = z
  .strictObject({
    kind: z.string().openapi({ description: `One of ${REVOCATION_KINDS.join(', ')}.` }),
    id: z.string().optional().openapi({
      description:
        '`token` is `ISSUER|JTI`, `edge` is `FROM>TO`, `session` and `subject` are `ISSUER|ID`, or the ID alone as a gateway asserts it. Absent for `everything`.',
    }),
    mode: z.enum(['deny', 'kill']).default('deny').openapi({
      description: 'A kill switch (`kill`) is lifted by another token than the one that set it.',
    }),
    reason: z.string(),
    expires_in_seconds: z.int().optional().openapi({ description: 'Absent: until it is lifted.' }),
    issued_before: z.string().optional().openapi({
      description: '`now` or a time: only tokens that were issued before are stopped.',
    }),
  })
  .openapi('NewRevocation')

const query = pageQuery.extend({
  mode: z.enum(MODES).optional(),
  all: z.enum(['true', 'false']).default('false').openapi({ description: 'Lifted and expired ones too.' }),
})
const idParam = z.object({ id: z.string().max(80) })

/** Revocations and kill switches: of one tenant, and of the whole installation. */
export function revocationRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  routesFor(app, at, {
    list: 'GET /v1/tenants/{tenant}/revocations',
    add: 'POST /v1/tenants/{tenant}/revocations',
    lift: 'DELETE /v1/tenants/{tenant}/revocations/{id}',
    params: tenantParam,
    where: 'in a tenant',
    tenantOf: (c) => tenantOf(c),
  })
  routesFor(app, at, {
    list: 'GET /v1/revocations',
    add: 'POST /v1/revocations',
    lift: 'DELETE /v1/revocations/{id}',
    params: z.object({}),
    where: 'in all tenants at once',
    tenantOf: () => null,
  })
  globalTokenRevocation(app, at)
}

interface Place {
  readonly list: RouteKey
  readonly add: RouteKey
  readonly lift: RouteKey
  readonly params: z.ZodObject
  readonly where: string
  readonly tenantOf: (c: Parameters<typeof tenantOf>[0]) => TenantId | null
}

function routesFor(app: OpenAPIHono<AdminEnv>, at: At, place: Place): void {
  const { params, where } = place
  const list = createRoute({
    ...at(place.list),
    summary: `List what is revoked ${where}, newest first`,
    request: { params, query },
    responses: { ...PROBLEMS, 200: json(pageOf(revocation), 'Revocations.') },
  })
  app.openapi(list, async (c) => {
    const { mode, all, ...asked } = c.req.valid('query')
    const filter = { tenant: place.tenantOf(c), mode, includeOver: all === 'true' }
    const page = await readPage(
      asked,
      (position) => {
        if (position.after !== undefined && !/^\d{1,15}\/[0-9a-f-]{36}$/.test(position.after))
          throw pageUnknown()
        return c.get('store').listRevocations(filter, position)
      },
      revocationKey,
    )
    return c.json(page, 200)
  })

  const add = createRoute({
    ...at(place.add),
    summary: `Revoke or stop something ${where}`,
    request: { params, body: body(newRevocation) },
    responses: { ...PROBLEMS, 201: json(revocation, 'It acts on every server within a second.') },
  })
  app.openapi(add, async (c) => {
    const {
      mode,
      expires_in_seconds: expiresInSeconds,
      issued_before: issuedBefore,
      ...given
    } = c.req.valid('json')
    c.get('call').target = `${given.kind} ${given.id ?? ''}`.slice(0, 200)
    const request = { tenant: place.tenantOf(c), id: given.id, ...given, expiresInSeconds, issuedBefore }
    return c.json(unwrap(await revoke(c.get('store'), mode, request, systemClock())), 201)
  })

  const lift = createRoute({
    ...at(place.lift),
    summary: `Take back a revocation ${where}`,
    request: { params: params.extend(idParam.shape) },
    responses: { ...PROBLEMS, 200: json(revocation, 'It counts no more.') },
  })
  app.openapi(lift, async (c) => {
    const id = c.req.param('id') ?? ''
    return c.json(unwrap(await liftRevocation(c.get('store'), place.tenantOf(c), id)), 200)
  })
}

/** Global token revocation: everything that was issued to a subject before now. */
function globalTokenRevocation(app: OpenAPIHono<AdminEnv>, at: At): void {
  const route = createRoute({
    ...at('POST /v1/tenants/{tenant}/global-token-revocation'),
    summary: 'End every token of a subject that was issued before now',
    request: {
      params: tenantParam,
      body: body(
        z.strictObject({
          sub_id: z.record(z.string(), z.any()).openapi({
            description:
              'RFC 9493: `iss_sub`, `email`, `opaque`, `jwt_id`, `account`, `uri`, `did` or `phone_number`.',
          }),
        }),
      ),
    },
    responses: { ...PROBLEMS, 204: { description: 'It acts on every server within a second.' } },
  })
  app.openapi(route, async (c) => {
    const { sub_id: subject } = c.req.valid('json')
    unwrap(await revokeTokensOf(c.get('store'), tenantOf(c), subject, systemClock()))
    return c.body(null, 204)
  })
}
