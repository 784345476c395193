import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { DEFAULT_LIMITS, type Listener } from './port.ts'
import { createHttpListener } from './server.ts'

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
export interface AdminListenerParts {
  readonly readiness: () => Readiness
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** Whether a token, as it came, is a valid admin token. */
  readonly isAdminToken: (token: string) => Promise<boolean>
  /** What `/v1/status` tells an administrator. */
  readonly status: () => object
}

const BEARER = /^bearer +([\x21-\x7e]{16,256})$/i

/**
 * Health, metrics and status for operators; decides nothing. `/livez`, `/readyz` and `/metrics` are open, because probes and
 * scrapers carry no token: this listener belongs on loopback or a private network. Everything under `/v1` needs an admin token.
 */
export function createAdminListener(parts: AdminListenerParts): Listener {
  const handle = getRequestListener(adminRoutes(parts).fetch)
  return createHttpListener(
    (incoming, outgoing) => void handle(incoming, outgoing),
    DEFAULT_LIMITS,
    () => undefined,
  )
}

/** The routes of the admin listener. */
export function adminRoutes({ readiness, metrics, isAdminToken, status }: AdminListenerParts): Hono {
  const app = new Hono()
  app.get('/livez', (c) => c.json({ alive: true }))
  app.get('/readyz', (c) => {
    const answer = readiness()
    return c.json(answer, answer.ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => c.body(await metrics.text(), 200, { 'content-type': metrics.contentType }))
  app.use('/v1/*', async (c, next) => {
    const token = BEARER.exec(c.req.header('authorization') ?? '')?.[1]
    if (token !== undefined && (await isAdminToken(token))) return await next()
    return c.json({ error: { code: 'http.unauthenticated', message: 'an admin token is needed' } }, 401, {
      'www-authenticate': 'Bearer realm="warder-admin"',
    })
  })
  app.get('/v1/status', (c) => c.json(status(), 200))
  app.notFound((c) =>
    c.json(
      { error: { code: 'http.not_found', message: 'try /livez, /readyz, /metrics or /v1/status' } },
      404,
    ),
  )
  app.onError((_error, c) =>
    c.json({ error: { code: 'internal.fault', message: 'the request failed' } }, 500),
  )
  return app
}
