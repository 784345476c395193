import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import type { AdminEnv } from './call.ts'
import { tenantNotFound } from './problem.ts'
import type { At } from './route.ts'
import { json, PROBLEMS, pageOf, pageQuery, pageUnknown, readPage } from './shapes.ts'

const row = z
  .object({
    sequence: z.int(),
    at: z.string(),
    actor: z.string().openapi({ description: '`token:NAME`, `cli:USER` or `system`.' }),
    role: z.string(),
    route: z.string(),
    tenant: z.string().nullable(),
    target: z.string().nullable(),
    before: z.any().openapi({ description: 'Secrets are masked.' }),
    after: z.any(),
    outcome: z.string().openapi({ description: '`changed`, `read`, `unchanged`, or the code of the error.' }),
    request_id: z.string().nullable(),
  })
  .openapi('AuditRow')

/** Audit: who did what, over this API and by commands. */
export function auditRoutes(app: OpenAPIHono<AdminEnv>, at: At): void {
  const list = createRoute({
    ...at('GET /v1/audit'),
    summary: 'Page through what administrators did, newest first',
    request: { query: pageQuery.extend({ tenant: z.string().max(80).optional() }) },
    responses: { ...PROBLEMS, 200: json(pageOf(row), 'Audit rows.') },
  })
  app.openapi(list, async (c) => {
    const { tenant, ...asked } = c.req.valid('query')
    const tenants = visible(c.get('call').token.tenants, tenant)
    if (
      tenants?.length === 1 &&
      tenant !== undefined &&
      !(await c.get('store').hasTenant(tenants[0] as TenantId))
    )
      throw tenantNotFound()
    const page = await readPage(
      asked,
      (position) => {
        if (position.after !== undefined && !/^\d{1,15}$/.test(position.after)) throw pageUnknown()
        return c.get('store').listAudit({ tenants }, position)
      },
      ({ sequence }) => `${sequence}`,
    )
    return c.json(page, 200)
  })
}

/** Tenants whose rows are shown: those of the token, or the one of them that was asked for. */
function visible(
  within: readonly TenantId[] | null,
  asked: string | undefined,
): readonly TenantId[] | undefined {
  if (asked === undefined) return within ?? undefined
  const tenant = parseTenantId(asked)
  if (tenant === undefined || (within !== null && !within.includes(tenant))) throw tenantNotFound()
  return [tenant]
}
