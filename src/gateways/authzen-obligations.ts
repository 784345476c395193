import type { Obligation, ObligationType } from '#model/obligation.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** Our obligation types by their names in the AuthZEN obligations profile, which knows two of them. */
export const AUTHZEN_OBLIGATION_NAMES: { readonly [type in ObligationType]: string } = {
  step_up: 'step-up',
  human_approval: 'human_approval',
  redact: 'redact',
  rate_limit: 'rate_limit',
  token_exchange: 'token_exchange',
  strip_authorization: 'strip_authorization',
  set_header: 'set_header',
  audit: 'audit',
  notify: 'notification',
  max_age: 'max_age',
}

/**
 * Obligations as `{id, type, properties}`. Ids are positions: they hold no per-request value, so that asking again gives
 * the same bytes.
 *
 * @param decisionSubject `context.decision_subject` of the request; joins the recipients of every notification.
 */
export function authzenObligations(
  obligations: readonly Obligation[],
  decisionSubject: Json | undefined,
): readonly JsonObject[] {
  return obligations.map(({ type, properties }, position) => ({
    id: String(position + 1),
    type: AUTHZEN_OBLIGATION_NAMES[type],
    properties: type === 'notify' ? withRecipient(properties, decisionSubject) : properties,
  }))
}

/** Our type for each name that a gateway lists; names that we don't know are kept and match nothing. */
export function obligationTypesOf(names: readonly string[]): readonly string[] {
  return names.map(
    (name) => Object.entries(AUTHZEN_OBLIGATION_NAMES).find(([, known]) => known === name)?.[0] ?? name,
  )
}

function withRecipient(properties: JsonObject, subject: Json | undefined): JsonObject {
  const to = properties['to']
  const recipients: readonly Json[] = Array.isArray(to) ? to : to === undefined ? [] : [to]
  if (typeof subject !== 'string' || recipients.includes(subject)) return { ...properties, to: recipients }
  return { ...properties, to: [...recipients, subject] }
}
