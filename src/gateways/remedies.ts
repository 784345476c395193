import type { Decision } from '#model/decision.ts'
import type { ReasonCode } from '#model/reasons.ts'

/** Something that an agent or its user can do about a denial. */
export interface Remedy {
  readonly code: keyof typeof REMEDIES
  readonly message: string
}

const REMEDIES = {
  step_up: 'let the user authenticate again, more strongly',
  human_approval: 'ask for the approval of a person',
  new_token: 'get a new access token',
  more_scope: 'get an access token for what this call needs',
  bound_token: 'use an access token that is bound to a key',
  actor_token: 'exchange the token of the user for one that says who acts (RFC 8693)',
  prove: 'send a new proof that was made for this very call',
  with_user: 'act on behalf of a user',
  with_agent: 'name the agent that acts',
  later: 'try again later',
  ask_administrator: 'ask an administrator, who can read the explanation of this decision',
} as const

const NEW_TOKEN: Remedy['code'] = 'new_token'
const PROVE: Remedy['code'] = 'prove'

/** What helps against a reason whatever the policies say; a step-up or an approval is for them to offer. */
const BY_REASON: { readonly [code in ReasonCode]?: Remedy['code'] } = {
  'token.expired': NEW_TOKEN,
  'token.too_old': NEW_TOKEN,
  'token.superseded': NEW_TOKEN,
  'token.inactive': NEW_TOKEN,
  'credentials.missing': NEW_TOKEN,
  'scope.insufficient': 'more_scope',
  'scope.authorization_details': 'more_scope',
  'pop.token_not_bound': 'bound_token',
  'chain.actor': 'actor_token',
  'pop.missing': PROVE,
  'pop.time': PROVE,
  'pop.nonce': PROVE,
  'pop.replayed': PROVE,
  'pop.request': PROVE,
  'policy.autonomous_not_permitted': 'with_user',
  'gateway.user_only': 'with_agent',
  'token.keys_unavailable': 'later',
  'token.keys_stale': 'later',
  'token.introspection_unavailable': 'later',
  'pop.unavailable': 'later',
  'exchange.unavailable': 'later',
  'exchange.refused': 'ask_administrator',
  'log.unavailable': 'later',
  'log.overflow': 'later',
  'state.stale': 'later',
  'policy.no_permit': 'ask_administrator',
  'policy.forbid': 'ask_administrator',
  'policy.error': 'ask_administrator',
}

/** What can help against a denial for these reasons. What policies offer stands before asking somebody. */
export function remediesFor(
  { obligations }: Pick<Decision, 'obligations'>,
  reasons: readonly ReasonCode[],
): readonly Remedy[] {
  const offered = obligations.flatMap(({ type }) =>
    type === 'step_up' || type === 'human_approval' ? [type] : [],
  )
  const known = reasons.flatMap((code) => BY_REASON[code] ?? [])
  const useful = offered.length > 0 ? known.filter((code) => code !== 'ask_administrator') : known
  return [...new Set([...offered, ...useful])].map((code) => ({ code, message: REMEDIES[code] }))
}
