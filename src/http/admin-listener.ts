import { getRequestListener } from '@hono/node-server'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { type AdminApiParts, adminOpenApi, createAdminApi, problemResponse, toProblem } from './admin/api.ts'
import type { AdminEnv } from './admin/call.ts'
import { docsRoutes } from './admin/docs.ts'
import { Problem } from './admin/problem.ts'
import { DEFAULT_LIMITS, type Listener } from './port.ts'
import { createHttpListener } from './server.ts'
import type { Tls } from './tls.ts'
import { countUnauthenticated } from './unauthenticated.ts'

/** One thing that must be well before this server may decide. */
export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  /** For operators; no secret. */
  readonly detail: string
}

/** Whether this server may decide, and why (not). */
export interface Readiness {
  readonly ready: boolean
  readonly checks: readonly ReadinessCheck[]
}

/** What the admin listener is made of. */
export interface AdminListenerParts extends Omit<AdminApiParts, 'onUnauthenticated'> {
  readonly tls?: Tls | undefined
  readonly readiness: () => Readiness
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** Gets the number of calls without a valid token, at most every ten seconds. */
  readonly onUnauthenticated: (count: number) => void
  /** Told about every exception that became an answer with status 500. */
  readonly onFault: (error: unknown) => void
}

/**
 * Health, metrics and administration; decides nothing. `/livez`, `/readyz`, `/metrics`, `/openapi.json` and `/docs` are open,
 * because probes and scrapers carry no token. Everything under `/v1` needs an admin token.
 */
export function createAdminListener(parts: AdminListenerParts): Listener {
  const unauthenticated = countUnauthenticated(parts.onUnauthenticated)
  const handle = getRequestListener(
    adminRoutes({ ...parts, onUnauthenticated: () => unauthenticated.add() }).fetch,
  )
  const listener = createHttpListener(
    (incoming, outgoing) => void handle(incoming, outgoing),
    DEFAULT_LIMITS,
    () => undefined,
    parts.tls,
  )
  return {
    listen: listener.listen,
    async close(graceMilliseconds) {
      await listener.close(graceMilliseconds)
      unauthenticated.close()
    },
  }
}

/** The routes of the admin listener. */
export function adminRoutes(
  parts: Omit<AdminListenerParts, 'onUnauthenticated'> & Pick<AdminApiParts, 'onUnauthenticated'>,
): OpenAPIHono<AdminEnv> {
  const { readiness, metrics } = parts
  const app = createAdminApi(parts)
  app.get('/livez', (c) => c.json({ alive: true }))
  app.get('/readyz', (c) => {
    const answer = readiness()
    return c.json(answer, answer.ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => c.body(await metrics.text(), 200, { 'content-type': metrics.contentType }))
  const document = adminOpenApi(app)
  app.get('/openapi.json', (c) => c.json(document))
  app.route('/', docsRoutes())
  app.notFound((c) => {
    const problem = new Problem(404, 'http.not_found', 'there is nothing at this path; see /openapi.json')
    if (c.req.path.startsWith('/v1/')) c.get('call').error = problem.code
    return problemResponse(problem)
  })
  app.onError((error, c) => {
    const problem = toProblem(error)
    const call: AdminEnv['Variables']['call'] | undefined = c.get('call')
    if (call !== undefined) call.error = problem.code
    if (problem.status === 500) parts.onFault(error)
    return problemResponse(problem)
  })
  return app
}
