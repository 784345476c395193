import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type ReleaseId, type TenantId } from '#model/ids.ts'
import type { ReleaseContent, Vocabulary } from '#model/release.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { AdminStore } from './ports.ts'

/** What a push did. */
export interface PushedRelease {
  readonly release: ReleaseId
  readonly tenant: TenantId
  /** False when the same content had been pushed before. */
  readonly stored: boolean
  readonly active: boolean
  /**
   * True when this activation replaced a release in the `Warder` vocabulary by one without: the shipped guardrails no longer
   * apply to the tenant, and its AuthZEN subject is the only party.
   */
  readonly guardrails_off: boolean
  readonly validated: boolean
  /** Policies with the shipped guardrails. */
  readonly policies: number
}

/** What an activation did. */
export type ActivatedRelease = Pick<PushedRelease, 'release' | 'tenant' | 'guardrails_off'>

const RELEASE = /^sha256:[0-9a-f]{64}$/
/** Shortest beginning of a release's digits that names it. */
const PREFIX_LENGTH_MIN = 8
const PAGE = 1000

/** Stores a compiled release, and makes it the active one when `activate` says so. */
export async function pushRelease(
  store: AdminStore,
  request: { readonly tenant: string; readonly release: ReleaseContent; readonly activate: boolean },
  onProgress?: (done: number, total: number) => void,
): Promise<Result<PushedRelease, AdminFailure>> {
  const { release } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const total = release.policies.length
  const pushed = await store.pushRelease(tenant, release, (done) => onProgress?.(done, total))
  if (pushed === 'tenant_unknown') return failed(tenantUnknown(tenant))
  const guardrailsOff = request.activate && (await turnsGuardrailsOff(store, tenant, release.vocabulary))
  if (request.activate) await store.activateRelease(tenant, release.id)
  const active = request.activate || (await isActive(store, tenant, release.id))
  return success({
    release: release.id,
    tenant,
    stored: pushed === 'stored',
    active,
    guardrails_off: guardrailsOff,
    validated: release.validated,
    policies: release.policyCount,
  })
}

/** Makes a pushed release the active one. `name` is its id, or the first eight or more digits of it. */
export async function activateRelease(
  store: AdminStore,
  request: { readonly tenant: string; readonly name: string },
): Promise<Result<ActivatedRelease, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const release = await findReleaseId(store, tenant, request.name)
  if (!release.ok) return release
  const next = await store.findRelease(tenant, release.value)
  if (next === undefined) return failed(releaseUnknown(tenant, request.name))
  const guardrailsOff = await turnsGuardrailsOff(store, tenant, next.header.vocabulary)
  await store.activateRelease(tenant, release.value)
  return success({ release: release.value, tenant, guardrails_off: guardrailsOff })
}

async function turnsGuardrailsOff(store: AdminStore, tenant: TenantId, next: Vocabulary): Promise<boolean> {
  return next === 'own' && (await store.findRelease(tenant, 'active'))?.header.vocabulary === 'warder'
}

/** The release of `tenant` that `name` means: its id, or the first eight or more digits of it. */
export async function findReleaseId(
  store: AdminStore,
  tenant: TenantId,
  name: string,
): Promise<Result<ReleaseId, AdminFailure>> {
  const whole = name.startsWith('sha256:') ? name : `sha256:${name}`
  if (RELEASE.test(whole)) return success(whole as ReleaseId)
  if (!/^sha256:[0-9a-f]*$/.test(whole) || whole.length < 'sha256:'.length + PREFIX_LENGTH_MIN) {
    return failed(
      invalid(
        'release.invalid',
        `\`${name.slice(0, 80)}\` can not be a release`,
        `write sha256: and 64 hex digits, or the first ${PREFIX_LENGTH_MIN} or more of them`,
      ),
    )
  }
  const found: ReleaseId[] = []
  let after: string | undefined
  for (;;) {
    const page = await store.listReleases(
      tenant,
      after === undefined ? { limit: PAGE } : { limit: PAGE, after },
    )
    found.push(...page.map((listing) => listing.release).filter((id) => id.startsWith(whole)))
    after = page.at(-1)?.release
    if (page.length < PAGE) break
  }
  const [release, ...more] = found
  if (release === undefined) return failed(releaseUnknown(tenant, name))
  return more.length === 0
    ? success(release)
    : failed(
        refused('release.unknown', `\`${name}\` names ${found.length} releases`, 'write more of its digits'),
      )
}

function releaseUnknown(tenant: string, name: string): AdminFailure {
  return refused(
    'release.unknown',
    `the tenant \`${tenant}\` has no release \`${name}\``,
    `list them with \`warder policy list --tenant ${tenant}\``,
  )
}

async function isActive(store: AdminStore, tenant: TenantId, release: ReleaseId): Promise<boolean> {
  const active = await store.findRelease(tenant, 'active')
  return active?.header.id === release
}
