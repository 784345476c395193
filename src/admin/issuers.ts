import { parseIssuer } from '#identity/issuer.ts'
import type { IssuerProblem } from '#identity/issuer-fields.ts'
import { makesAccessTokens } from '#identity/profile-rules.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { AdminStore } from './ports.ts'

/** Why an issuer was not stored; `problems` say where in the file. */
export interface IssuerFailure extends AdminFailure {
  readonly problems: readonly IssuerProblem[]
}

/** An issuer that is believed from now on. */
export interface StoredIssuer {
  readonly issuer: string
  readonly tenant: TenantId
  /** What an administrator has to know about it, a sentence each. */
  readonly warnings: readonly string[]
}

/** Stores the issuer of an `issuer add` file, in place of one with the same name. */
export async function putIssuer(
  store: AdminStore,
  request: { readonly tenant: string; readonly text: string },
): Promise<Result<StoredIssuer, IssuerFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed({ ...tenantUnknown(request.tenant), problems: [] })
  const issuer = readIssuerFile(request.text)
  if (!issuer.ok) return issuer
  const stored = await store.putIssuer(tenant, issuer.value)
  return stored === 'tenant_unknown'
    ? failed({ ...tenantUnknown(tenant), problems: [] })
    : success({ issuer: issuer.value.issuer, tenant, warnings: await warningsOf(store, tenant) })
}

const SHOWN_MAX = 10

/** Agents that nobody can name any more because several issuers could (src/delegation/rules.ts). */
async function warningsOf(store: AdminStore, tenant: TenantId): Promise<readonly string[]> {
  const issuers = await store.listIssuers(tenant, { limit: 500 })
  if (issuers.filter(makesAccessTokens).length < 2) return []
  const found = await store.listAgents(tenant, { issuerless: true }, { limit: SHOWN_MAX + 1 })
  if (found.length === 0) return []
  const names = found.slice(0, SHOWN_MAX).map(({ agent }) => `\`${agent}\``)
  const more = found.length > SHOWN_MAX ? ' and others' : ''
  return [
    `the tenant has several issuers, so tokens for agents without an \`issuer\` deny (chain.issuer): ${names.join(', ')}${more}; ` +
      `see \`warder agent list --issuerless --tenant ${tenant}\``,
  ]
}

/** Ends the trust of a tenant in an issuer. */
export async function removeIssuer(
  store: AdminStore,
  request: { readonly tenant: string; readonly issuer: string },
): Promise<Result<{ readonly issuer: string; readonly tenant: TenantId }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const { issuer } = request
  return (await store.removeIssuer(tenant, issuer)) === 'removed'
    ? success({ issuer, tenant })
    : failed(issuerUnknown(tenant, issuer))
}

/** Makes every server fetch the keys of an issuer anew, for when one was compromised or rotated in a hurry. */
export async function reloadIssuer(
  store: AdminStore,
  request: { readonly tenant: string; readonly issuer: string },
): Promise<Result<{ readonly issuer: string; readonly tenant: TenantId }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const { issuer } = request
  return (await store.reloadIssuer(tenant, issuer)) === 'reloaded'
    ? success({ issuer, tenant })
    : failed(issuerUnknown(tenant, issuer))
}

/** The issuer that a file describes, without storing it. */
export function readIssuerFile(text: string): Result<Issuer, IssuerFailure> {
  const json = parseJson(text)
  const issuer = json.ok ? parseIssuer(json.value) : failed([{ path: '', message: json.failure }])
  if (issuer.ok) return issuer
  const failure = invalid('issuer.invalid', 'the issuer file has problems; nothing was stored')
  return failed({ ...failure, problems: issuer.failure })
}

function issuerUnknown(tenant: TenantId, issuer: string): AdminFailure {
  const message = `the tenant \`${tenant}\` has no issuer \`${issuer.slice(0, 200)}\``
  return refused('issuer.unknown', message, `list them with \`warder issuer list --tenant ${tenant}\``)
}

function parseJson(text: string): Result<unknown, string> {
  try {
    return success(JSON.parse(text))
  } catch {
    return failed('the file is not valid JSON')
  }
}
