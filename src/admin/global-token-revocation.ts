import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import { readSubject } from '#signals/subject.ts'
import { type AdminFailure, invalid } from './failure.ts'
import type { AdminStore } from './ports.ts'

const REASON = 'global token revocation'

/**
 * Ends every token of a subject that was issued before `now`; a token or session that is named itself, for good. The caller
 * speaks for the whole tenant, so subjects of each of its issuers can be named, but no more than one subject at once.
 */
export async function revokeTokensOf(
  store: AdminStore,
  tenant: TenantId,
  subject: JsonObject,
  now: EpochMilliseconds,
): Promise<Result<number, AdminFailure>> {
  const issuers = await store.listIssuers(tenant, { limit: 500 })
  const [first] = issuers
  if (first === undefined) return failed(wrong('the tenant has no issuer whose tokens could be meant'))
  const subjectIssuers = issuers.map(({ issuer }) => issuer)
  const read = readSubject(subject, { id: '', name: '', tenant, issuer: first, subjectIssuers, wide: false })
  if (!read.ok) return failed(wrong(read.failure.description))
  if (read.value.isWide) return failed(wrong('the subject is more than one'))
  const issuedBefore = (toSeconds(now) + 1) as EpochSeconds
  for (const target of read.value.targets) {
    const epoch = target.kind === 'subject' || target.kind === 'client' ? { issuedBefore } : {}
    await store.revoke({ tenant, ...target, ...epoch, mode: 'deny', source: 'admin', reason: REASON })
  }
  return success(read.value.targets.length)
}

function wrong(message: string): AdminFailure {
  return invalid('revocation.invalid', message)
}
