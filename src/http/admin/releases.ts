import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { activateRelease, findReleaseId } from '#admin/push-release.ts'
import { pushSources } from '#admin/push-sources.ts'
import { roleIncludes } from '#admin/roles.ts'
import { rollbackRelease } from '#admin/rollback-release.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { Problem, unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

/** Compilations at once: each takes a core and much memory. */
const COMPILING_MAX = 2
const FILES_MAX = 2_000

const listed = z
  .object({
    release: z.string(),
    tenant: z.string(),
    vocabulary: z.enum(['warder', 'own']),
    validated: z.boolean(),
    policies: z.int(),
    pushed_at: z.string(),
    active: z.boolean(),
  })
  .openapi('Release')
const file = z.strictObject({ name: z.string().max(300), text: z.string() }).openapi('SourceFile')
const diagnostic = z.object({ code: z.string(), message: z.string() }).catchall(z.any()).openapi('Diagnostic')
const pushed = z
  .object({
    release: z.string(),
    tenant: z.string(),
    stored: z.boolean().openapi({ description: 'False when the same content had been pushed before.' }),
    active: z.boolean(),
    validated: z.boolean(),
    policies: z.int(),
    warnings: z.array(diagnostic),
  })
  .openapi('PushedRelease')
const activated = z.object({ release: z.string(), tenant: z.string() })
const releaseParam = tenantParam.extend({
  release: z
    .string()
    .max(80)
    .openapi({ description: 'Its id, its first eight or more digits, or `active`.' }),
})

/** Releases: what decides. */
export function releaseRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/releases'),
    summary: 'List pushed releases, newest first',
    request: { params: tenantParam, query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(listed), 'Releases.') },
  })
  app.openapi(list, async (c) => {
    const page = await readPage(
      c.req.valid('query'),
      (asked) => c.get('store').listReleases(tenantOf(c), asked),
      (row) => row.release,
    )
    return c.json(page, 200)
  })

  const show = createRoute({
    ...at('GET /v1/tenants/{tenant}/releases/{release}'),
    summary: 'Show a release with its files',
    request: { params: releaseParam },
    responses: {
      ...PROBLEMS,
      200: json(listed.omit({ pushed_at: true }).extend({ sources: z.array(file) }), 'The release.'),
    },
  })
  app.openapi(show, async (c) => {
    const [store, tenant, { release: name }] = [c.get('store'), tenantOf(c), c.req.valid('param')]
    const id = name === 'active' ? name : unwrap(await findReleaseId(store, tenant, name))
    const found = await store.findRelease(tenant, id)
    if (found === undefined) throw new Problem(404, 'release.unknown', 'there is no such release')
    const { id: release, vocabulary, validated, policyCount: policies } = found.header
    const active = id === 'active' || (await store.findRelease(tenant, 'active'))?.header.id === release
    return c.json(
      { release, tenant, vocabulary, validated, policies, active, sources: [...found.sources] },
      200,
    )
  })
  pushRoute(app, at)
  activationRoutes(app, at)
}

function pushRoute(app: OpenAPIHono<AdminEnv>, at: At): void {
  const push = createRoute({
    ...at('POST /v1/tenants/{tenant}/releases'),
    summary:
      'Compile the files of a policy folder and store the release; the same content again changes nothing',
    description: '`activate` makes it active at once, for which the role approver is needed.',
    request: {
      params: tenantParam,
      body: body(
        z
          .strictObject({ files: z.array(file).min(1).max(FILES_MAX), activate: z.boolean().default(false) })
          .openapi('NewRelease'),
      ),
    },
    responses: { ...PROBLEMS, 200: json(pushed, 'The release is stored.') },
  })
  let compiling = 0
  app.openapi(push, async (c) => {
    const { files, activate } = c.req.valid('json')
    if (activate && !roleIncludes(c.get('call').token.role, 'approver'))
      throw new Problem(403, 'http.forbidden', '`activate` needs a token with the role approver')
    if (compiling >= COMPILING_MAX)
      throw new Problem(503, 'http.overloaded', 'other releases are being compiled; try again')
    compiling++
    try {
      const stored = unwrap(await pushSources(c.get('store'), { tenant: tenantOf(c), files, activate }))
      c.get('call').target = stored.release
      return c.json({ ...stored, warnings: stored.warnings.map((warning) => ({ ...warning })) }, 200)
    } finally {
      compiling--
    }
  })
}

function activationRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const activate = createRoute({
    ...at('POST /v1/tenants/{tenant}/releases/{release}/activate'),
    summary: 'Make a release the active one on every server',
    request: { params: releaseParam },
    responses: { ...PROBLEMS, 200: json(activated, 'It decides from now on.') },
  })
  app.openapi(activate, async (c) => {
    const { release: name } = c.req.valid('param')
    return c.json(unwrap(await activateRelease(c.get('store'), { tenant: tenantOf(c), name })), 200)
  })

  const rollback = createRoute({
    ...at('POST /v1/tenants/{tenant}/rollback'),
    summary: 'Make the release active that was so before the present one',
    request: { params: tenantParam },
    responses: { ...PROBLEMS, 200: json(activated, 'It decides from now on.') },
  })
  app.openapi(rollback, async (c) => {
    return c.json(unwrap(await rollbackRelease(c.get('store'), { tenant: tenantOf(c) })), 200)
  })
}
