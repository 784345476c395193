import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import type { Stop } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { ReasonCode } from '#model/reasons.ts'
import { issuerOf, objectionToHeader } from './jwt.ts'
import { parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import { verifyText } from './signature.ts'
import { CLAIM_RULES, judgeClaims } from './token-claims.ts'
import { describeToken } from './token-facts.ts'

/** How one rule ended. `skipped`: a rule before it failed. Never holds the token or a claim's value. */
export interface ExplainedRule {
  readonly rule: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly code?: ReasonCode
  readonly detail?: string
}

const RULES = ['form', 'issuer', 'header', 'signature', ...CLAIM_RULES.map(({ name }) => name)]
const LAST = ['binding', 'dates', 'facts']

/**
 * Every rule that a JWT access token passes or fails for a tenant with `issuers`, in the order in which a decision judges them.
 * For operators: what a gateway demands, revocation and policies are not part of it.
 */
export async function explainToken(
  token: string,
  asked: { readonly tenant: TenantId; readonly issuers: readonly Issuer[]; readonly now: EpochMilliseconds },
  keys: KeySets,
): Promise<readonly ExplainedRule[]> {
  const passed: ExplainedRule[] = []
  const pass = (rule: string) => void passed.push({ rule, outcome: 'passed' })
  const fail = (rule: string, stop: Stop) => ended(passed, rule, stop)
  const jwt = parseJwt(token)
  if (!jwt.ok) return fail('form', jwt.failure)
  pass('form')
  const issuer = issuerOf(jwt.value, asked)
  if (!issuer.ok) return fail('issuer', issuer.failure)
  pass('issuer')
  const header = objectionToHeader(jwt.value, issuer.value)
  if (header !== undefined) return fail('header', header)
  pass('header')
  const signed = await verifyText(jwt.value, asked.tenant, issuer.value, keys)
  if (!signed.ok) return fail('signature', signed.failure)
  pass('signature')
  const source = { typ: jwt.value.typ, keyId: jwt.value.kid, fingerprint: undefined }
  for (const { name, judge } of CLAIM_RULES) {
    const objection = judge(jwt.value.payload, issuer.value, source)
    if (objection !== undefined) return fail(name, objection)
    pass(name)
  }
  const claims = judgeClaims(jwt.value.payload, issuer.value, source, toSeconds(asked.now))
  if (!claims.ok) {
    const isBinding =
      claims.failure.code === 'pop.method_unsupported' || claims.failure.detail?.includes('cnf')
    if (!isBinding) pass('binding')
    return fail(isBinding ? 'binding' : 'dates', claims.failure)
  }
  pass('binding')
  pass('dates')
  const facts = describeToken(claims.value)
  if (!facts.ok) return fail('facts', facts.failure)
  pass('facts')
  return passed
}

function ended(passed: readonly ExplainedRule[], rule: string, stop: Stop): readonly ExplainedRule[] {
  const { code, detail } = stop
  const all = [...RULES, ...LAST]
  return [
    ...passed,
    { rule, outcome: 'failed', code, ...(detail !== undefined && { detail }) },
    ...all.slice(all.indexOf(rule) + 1).map((each): ExplainedRule => ({ rule: each, outcome: 'skipped' })),
  ]
}
