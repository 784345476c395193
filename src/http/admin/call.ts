import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { AuditActor } from '#admin/audit.ts'
import { hashKey } from '#admin/keys.ts'
import type { AdminStore, AdminToken } from '#admin/ports.ts'
import { roleIncludes } from '#admin/roles.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { ACCESS, type Access, type RouteKey } from './access.ts'
import { Problem, tenantNotFound } from './problem.ts'

/** One call of the admin API. */
export interface Call {
  readonly token: AdminToken
  readonly requestId: string | undefined
  /** What the audit calls it. */
  route: string
  tenant: TenantId | undefined
  target: string | undefined
  /** Changes that were recorded with it. */
  changes: number
  /** Code of the error that it ends with. */
  error: string | undefined
}

/** Environment of the routes. */
export interface AdminEnv {
  readonly Variables: { call: Call; store: AdminStore }
}

const BEARER = /^bearer +([\x21-\x7e]{16,256})$/i
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/
const BODY_BYTES_MAX = 65_536

/**
 * Lets nobody in without a valid token, and records each call that changed nothing when it ends: reads, refusals and
 * failures. Changes are recorded in their own transactions.
 *
 * INVARIANT: the answer leaves after its audit row; where that can't be written, the answer is an error.
 */
export function authenticate(store: AdminStore, onUnauthenticated: () => void): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const given = BEARER.exec(c.req.header('authorization') ?? '')?.[1]
    const token = given === undefined ? undefined : await store.findAdminToken(hashKey(given))
    if (token === undefined) {
      onUnauthenticated()
      throw new Problem(
        401,
        'http.unauthenticated',
        'an admin token is needed, and this call has no valid one',
      )
    }
    const requestId = c.req.header('x-request-id')
    const call: Call = {
      token,
      requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : undefined,
      route: `${c.req.method} (no route)`,
      tenant: undefined,
      target: undefined,
      changes: 0,
      error: undefined,
    }
    c.set('call', call)
    await next()
    if (call.requestId !== undefined) c.header('x-request-id', call.requestId)
    const outcome = call.error ?? (c.res.ok ? whatHappened(c, call) : `http.${c.res.status}`)
    if (outcome === undefined) return
    const { tenant, target } = call
    await store.by(actorOf(call)).recordAttempt({ tenant, target, outcome })
  }
}

/** What a successful call is recorded as; undefined when its changes are recorded already. */
function whatHappened(c: Context, call: Call): string | undefined {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return 'read'
  return call.changes > 0 ? undefined : 'unchanged'
}

/** Lets in whom `ACCESS` names: first the tenant, then the role, then the size of the body. */
export function guard(key: RouteKey, store: AdminStore): MiddlewareHandler<AdminEnv>[] {
  const access: Access = ACCESS[key]
  const limit = access.bodyBytesMax ?? BODY_BYTES_MAX
  const check: MiddlewareHandler<AdminEnv> = async (c, next) => {
    const call = c.get('call')
    call.route = key
    call.target = targetOf(c)
    const asked = c.req.param('tenant')
    if (asked !== undefined) call.tenant = await visibleTenant(store, call.token, asked)
    const isBounded = access.allTenants === true && call.token.tenants !== null
    if (isBounded || !roleIncludes(call.token.role, access.role)) {
      const who = access.allTenants === true ? `${access.role} for all tenants` : access.role
      throw new Problem(403, 'http.forbidden', `this needs a token with the role ${who}`)
    }
    c.set('store', store.by(actorOf(call)))
    return await next()
  }
  const tooLarge = () => {
    throw new Problem(413, 'request.too_large', `the body may have ${limit} bytes`)
  }
  return [check, bodyLimit({ maxSize: limit, onError: tooLarge })]
}

/** The tenant, if the token may see it and it exists. Both are always looked at, so that the time tells nothing. */
async function visibleTenant(store: AdminStore, { tenants }: AdminToken, asked: string): Promise<TenantId> {
  const tenant = parseTenantId(asked)
  const exists = tenant !== undefined && (await store.hasTenant(tenant))
  const isVisible = tenant !== undefined && (tenants === null || tenants.includes(tenant))
  if (!exists || !isVisible) throw tenantNotFound()
  return tenant
}

/** The tenant of the path. */
export function tenantOf(c: Context<AdminEnv>): TenantId {
  const { tenant } = c.get('call')
  if (tenant === undefined) throw new Error('the route has no tenant')
  return tenant
}

/** What the path names last, beside the tenant that the audit has a column for. */
function targetOf(c: Context): string | undefined {
  const { name, release, id, tenant } = c.req.param()
  return (name ?? release ?? id ?? tenant)?.slice(0, 200)
}

function actorOf(call: Call): AuditActor {
  return {
    actor: `token:${call.token.name}`,
    role: call.token.role,
    route: call.route,
    requestId: call.requestId,
    onChange: () => {
      call.changes++
    },
  }
}
