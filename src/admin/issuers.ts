import { parseIssuer } from '#identity/issuer.ts'
import type { IssuerProblem } from '#identity/issuer-fields.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { AdminStore } from './ports.ts'

/** Why an issuer was not stored; `problems` say where in the file. */
export interface IssuerFailure extends AdminFailure {
  readonly problems: readonly IssuerProblem[]
}

/** Stores the issuer of an `issuer add` file, in place of one with the same name. */
export async function putIssuer(
  store: AdminStore,
  request: { readonly tenant: string; readonly text: string },
): Promise<Result<{ readonly issuer: string; readonly tenant: TenantId }, IssuerFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed({ ...tenantUnknown(request.tenant), problems: [] })
  const json = parseJson(request.text)
  const issuer = json.ok ? parseIssuer(json.value) : failed([{ path: '', message: json.failure }])
  if (!issuer.ok) {
    const failure = invalid('issuer.invalid', 'the issuer file has problems; nothing was stored')
    return failed({ ...failure, problems: issuer.failure })
  }
  const stored = await store.putIssuer(tenant, issuer.value)
  return stored === 'tenant_unknown'
    ? failed({ ...tenantUnknown(tenant), problems: [] })
    : success({ issuer: issuer.value.issuer, tenant })
}

/** Ends the trust of a tenant in an issuer. */
export async function removeIssuer(
  store: AdminStore,
  request: { readonly tenant: string; readonly issuer: string },
): Promise<Result<{ readonly issuer: string; readonly tenant: TenantId }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const { issuer } = request
  if ((await store.removeIssuer(tenant, issuer)) === 'removed') return success({ issuer, tenant })
  const message = `the tenant \`${tenant}\` has no issuer \`${issuer.slice(0, 200)}\``
  return failed(
    refused('issuer.unknown', message, `list them with \`warder issuer list --tenant ${tenant}\``),
  )
}

function parseJson(text: string): Result<unknown, string> {
  try {
    return success(JSON.parse(text))
  } catch {
    return failed('the file is not valid JSON')
  }
}
