import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { API_KEY_ISSUER } from '#model/api-key.ts'
import type { TenantId } from '#model/ids.ts'
import { REVOCATION_KINDS, type Revocation, type RevocationKind } from '#model/revocation.ts'
import { certificateId } from '#revocation/certificate-id.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { AdminStore } from './ports.ts'
import type { RevocationListing, RevocationStore } from './revocation-ports.ts'

/** A revocation as an administrator asks for it. */
export interface RevocationRequest {
  /** Null: for the whole installation. */
  readonly tenant: TenantId | null
  readonly kind: string
  /** Undefined for `everything`, and for `tenant` the one that it is for. */
  readonly id: string | undefined
  readonly reason: string
  readonly expiresInSeconds?: number | undefined
  /** RFC 3339, or `now`: only tokens that were issued before. */
  readonly issuedBefore?: string | undefined
}

const ID_LENGTH_MAX = 2_048
const REASON_LENGTH_MAX = 500
/** Ten years. */
const EXPIRES_SECONDS_MAX = 10 * 365 * 86_400
const KILL_KINDS: readonly RevocationKind[] = ['agent', 'blueprint', 'tool', 'tenant', 'everything']
/** Kinds whose id is `issuer|...`; where the issuer is empty, whoever asserts it is meant. */
const BY_ISSUER: readonly RevocationKind[] = ['token', 'subject', 'session']
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const PLAIN = /^[^\u0000-\u001f\u007f]+$/

/** Revokes something, or stops it with a kill switch (`mode` kill), which somebody else has to lift. */
export async function revoke(
  store: Pick<AdminStore, 'listIssuers'> & RevocationStore,
  mode: Exclude<Revocation['mode'], 'breaker'>,
  request: RevocationRequest,
  now: EpochMilliseconds,
): Promise<Result<RevocationListing, AdminFailure>> {
  const { tenant } = request
  const target = targetOf(request, mode)
  if (!target.ok) return target
  const reason = request.reason.trim()
  if (reason === '' || reason.length > REASON_LENGTH_MAX || !PLAIN.test(reason))
    return wrong(`a revocation needs a reason of 1 to ${REASON_LENGTH_MAX} characters in one line`)
  const bounds = boundsOf(request, now)
  if (!bounds.ok) return bounds
  const objection = await objectionToIssuer(store, tenant, target.value)
  if (objection !== undefined) return failed(objection)
  const stored = await store.revoke({
    tenant,
    ...target.value,
    ...bounds.value,
    mode,
    source: 'admin',
    reason,
  })
  return stored === 'tenant_unknown' ? failed(tenantUnknown(tenant ?? '')) : success(stored)
}

/** Takes back a revocation; a kill switch only for somebody else than who set it. */
export async function liftRevocation(
  store: RevocationStore,
  tenant: TenantId | null,
  revocation: string,
): Promise<Result<RevocationListing, AdminFailure>> {
  const lifted = await store.liftRevocation(tenant, revocation)
  if (lifted === 'unknown') {
    const message = `there is no revocation \`${revocation.slice(0, 80)}\` in force here`
    return failed(refused('revocation.unknown', message, 'list them with `warder revoke list`'))
  }
  if (lifted === 'same_person') {
    const message = 'a kill switch can not be lifted by whoever set it'
    return failed(refused('revocation.same_person', message, 'ask somebody else who may'))
  }
  return success(lifted)
}

interface Target {
  readonly kind: RevocationKind
  readonly id: string
}

function targetOf(request: RevocationRequest, mode: Revocation['mode']): Result<Target, AdminFailure> {
  const name = request.kind
  const kind = REVOCATION_KINDS.find((each) => each === name)
  if (kind === undefined) return wrong(`\`${name.slice(0, 40)}\` is not a kind`, kindHelp(name))
  if (mode === 'kill' && !KILL_KINDS.includes(kind))
    return wrong(`\`${kind}\` has no kill switch`, `revoke it, or stop one of ${KILL_KINDS.join(', ')}`)
  const given = request.id ?? (kind === 'everything' ? '*' : kind === 'tenant' ? request.tenant : undefined)
  const objection = objectionToId(kind, given ?? '', request.tenant)
  return objection === undefined ? success({ kind, id: normal(kind, given ?? '') }) : wrong(objection)
}

function objectionToId(kind: RevocationKind, id: string, tenant: TenantId | null): string | undefined {
  if (id.length > ID_LENGTH_MAX || !PLAIN.test(id))
    return `the id of what is revoked has 1 to ${ID_LENGTH_MAX} printable characters`
  if (kind === 'everything' && id !== '*') return '`everything` has no id'
  if (kind === 'tenant' && tenant !== null && id !== tenant)
    return 'in a tenant only that tenant itself can be named'
  if (kind === 'token' && !id.includes('|')) return 'a token is named by `ISSUER|JTI`'
  const bar = id.lastIndexOf('|')
  if (kind === 'certificate' && bar >= 0 && certificateId(id.slice(0, bar), id.slice(bar + 1)) === undefined)
    return 'a certificate is named by its SHA-256 thumbprint or by `ISSUER DN|SERIAL`, the number in hexadecimal'
  if (kind === 'edge' && !id.includes('>')) return 'a step of a delegation is named by `FROM>TO`'
  return undefined
}

/** One spelling for each thing: hexadecimal thumbprints become base64url, plain names those that somebody asserts. */
function normal(kind: RevocationKind, id: string): string {
  if ((kind === 'subject' || kind === 'session') && !id.includes('|')) return `|${id}`
  const hex = id.replaceAll(':', '')
  const isThumbprint = (kind === 'key' || kind === 'certificate') && /^[0-9a-f]{64}$/i.test(hex)
  if (isThumbprint) return Buffer.from(hex, 'hex').toString('base64url')
  const bar = id.lastIndexOf('|')
  const named =
    kind === 'certificate' && bar > 0 ? certificateId(id.slice(0, bar), id.slice(bar + 1)) : undefined
  return named ?? id
}

/** INVARIANT: an id that can match nothing is refused; whoever mistypes an issuer must not believe that it worked. */
async function objectionToIssuer(
  store: Pick<AdminStore, 'listIssuers'>,
  tenant: TenantId | null,
  { kind, id }: Target,
): Promise<AdminFailure | undefined> {
  const issuer = kind === 'issuer' ? id : BY_ISSUER.includes(kind) ? id.slice(0, id.indexOf('|')) : ''
  if (tenant === null || issuer === '' || issuer === API_KEY_ISSUER) return undefined
  const known: string[] = []
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: readonly { readonly issuer: string }[] = await store.listIssuers(tenant, {
      limit: 500,
      after,
    })
    known.push(...page.map((each) => each.issuer))
    after = page.length === 500 ? page.at(-1)?.issuer : undefined
  }
  if (known.includes(issuer)) return undefined
  const message = `the tenant \`${tenant}\` has no issuer \`${issuer.slice(0, 200)}\`, so nothing would match`
  const near = nearest(issuer, known)
  return invalid('revocation.invalid', message, near === undefined ? undefined : `did you mean \`${near}\`?`)
}

function boundsOf(
  { expiresInSeconds, issuedBefore }: RevocationRequest,
  now: EpochMilliseconds,
): Result<{ readonly expiresAt?: EpochMilliseconds; readonly issuedBefore?: EpochSeconds }, AdminFailure> {
  if (expiresInSeconds !== undefined && !(expiresInSeconds >= 1 && expiresInSeconds <= EXPIRES_SECONDS_MAX))
    return wrong('a revocation ends after one second to ten years, or never')
  const epoch = epochOf(issuedBefore, now)
  if (epoch === 'invalid')
    return wrong('`issued before` is `now` or a time that is not in the future, such as 2026-11-21T23:00:00Z')
  return success({
    ...(expiresInSeconds !== undefined && {
      expiresAt: (now + expiresInSeconds * 1000) as EpochMilliseconds,
    }),
    ...(epoch !== undefined && { issuedBefore: epoch }),
  })
}

/** The second after `now` or the given one: tokens carry whole seconds, and those of this very second are older too. */
function epochOf(given: string | undefined, now: EpochMilliseconds): EpochSeconds | undefined | 'invalid' {
  if (given === undefined) return undefined
  if (given === 'now') return (toSeconds(now) + 1) as EpochSeconds
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(given)
  const time = isTime ? Date.parse(given) : Number.NaN
  return time <= now ? (Math.ceil(time / 1000) as EpochSeconds) : 'invalid'
}

function kindHelp(kind: string): string {
  const near = nearest(kind, REVOCATION_KINDS)
  return near === undefined ? `use one of ${REVOCATION_KINDS.join(', ')}` : `did you mean \`${near}\`?`
}

function wrong(message: string, help?: string): Result<never, AdminFailure> {
  return failed(invalid('revocation.invalid', message, help))
}
