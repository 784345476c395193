import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { HTTPException } from 'hono/http-exception'
import type { AdminStore } from '#admin/ports.ts'
import type { QueryLog } from '#decision-log/port.ts'
import type { TransmitterClient } from '#signals/transmitter-client.ts'
import { agentRoutes } from './agents.ts'
import { apiKeyRoutes } from './api-keys.ts'
import { auditRoutes } from './audit.ts'
import { type AdminEnv, authenticate } from './call.ts'
import { decisionRoutes } from './decisions.ts'
import { entityRoutes } from './entities.ts'
import { type ExplainParts, explainRoutes } from './explain.ts'
import { federationRoutes } from './federations.ts'
import { gatewayRoutes } from './gateways.ts'
import { grantRoutes } from './grants.ts'
import { issuerRoutes } from './issuers.ts'
import { Problem, problemBody } from './problem.ts'
import { receiverRoutes } from './receivers.ts'
import { releaseRoutes } from './releases.ts'
import { revocationRoutes } from './revocations.ts'
import { type At, createAt } from './route.ts'
import { json, PROBLEMS } from './shapes.ts'
import { signalStreamRoutes } from './signal-streams.ts'
import { tenantRoutes } from './tenants.ts'
import { tokenRoutes } from './tokens.ts'

/** What the admin API is made of. */
export interface AdminApiParts {
  readonly store: AdminStore
  readonly log: QueryLog
  /** What streams of others' security events are managed with. */
  readonly transmitters: TransmitterClient
  readonly explain: ExplainParts
  /** What the keys of tenants are made from. */
  readonly installationSecret: () => Promise<Uint8Array>
  /** What `/v1/status` tells an administrator. */
  readonly status: () => object
  /** Called for each call without a valid token. */
  readonly onUnauthenticated: () => void
}

/** The admin API under `/v1`. Every call needs a token; refusals are problem documents (RFC 9457). */
export function createAdminApi(parts: AdminApiParts): OpenAPIHono<AdminEnv> {
  const { store, log } = parts
  const app = new OpenAPIHono<AdminEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error)
    },
  })
  const at = createAt(store)
  app.openAPIRegistry.registerComponent('securitySchemes', 'adminToken', {
    type: 'http',
    scheme: 'bearer',
    description: 'The token that `warder token add` printed.',
  })
  app.use('/v1/*', async (c, next) => {
    await next()
    c.header('cache-control', 'no-store')
    c.header('x-content-type-options', 'nosniff')
  })
  app.use('/v1/*', authenticate(store, parts.onUnauthenticated))
  statusRoute(app, at, parts.status)
  tenantRoutes(app, at)
  gatewayRoutes(app, at)
  issuerRoutes(app, at)
  agentRoutes(app, at)
  apiKeyRoutes(app, at)
  grantRoutes(app, at)
  federationRoutes(app, at, parts.installationSecret)
  entityRoutes(app, at)
  releaseRoutes(app, at)
  revocationRoutes(app, at)
  signalStreamRoutes(app, at, parts.transmitters)
  receiverRoutes(app, at)
  decisionRoutes(app, at, log)
  explainRoutes(app, at, parts.explain)
  tokenRoutes(app, at)
  auditRoutes(app, at)
  return app
}

/** The OpenAPI 3.1 document of the admin API, from the schemas that read its requests. */
export function adminOpenApi(app: OpenAPIHono<AdminEnv>): object {
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Warder administration',
      version: '1',
      description:
        'Tenants, gateways, issuers, registry, releases, decisions and tokens. Every call needs an admin token and is recorded. Lists page: `next` of one page is `after` of the following one.',
      license: { name: 'Apache-2.0' },
    },
  })
}

/** The answer to a call that threw. What is no `Problem` is a fault, of which nothing leaves. */
export function toProblem(error: Error): Problem {
  if (error instanceof Problem) return error
  if (error instanceof HTTPException && error.status === 400)
    return new Problem(400, 'request.malformed_json', 'the body is not valid JSON')
  if (error instanceof HTTPException && error.status === 415)
    return new Problem(415, 'request.unsupported_media_type', 'the body must be sent as application/json')
  return new Problem(500, 'internal.fault', 'the request failed')
}

/** A problem as an answer. */
export function problemResponse(problem: Problem): Response {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer realm="warder-admin"'
  if (problem.status === 503) headers['retry-after'] = '1'
  return new Response(JSON.stringify(problemBody(problem)), { status: problem.status, headers })
}

function statusRoute(app: OpenAPIHono<AdminEnv>, at: At, status: () => object): void {
  const route = createRoute({
    ...at('GET /v1/status'),
    summary: 'How this server does',
    responses: {
      ...PROBLEMS,
      200: json(z.looseObject({}), 'Database, log, policy engine and readiness checks.'),
    },
  })
  app.openapi(route, (c) => c.json({ ...status() }, 200))
}

function invalidRequest(error: z.ZodError): Problem {
  const errors = error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  return new Problem(400, 'request.invalid', 'the request does not fit its schema', { errors })
}
