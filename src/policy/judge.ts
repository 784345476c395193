import { toSeconds } from '#lib/clock.ts'
import type { Judgement, JudgementTrace } from '#model/answer.ts'
import type { Challenge } from '#model/challenge.ts'
import type { Reason } from '#model/decision.ts'
import type { Explanation } from '#model/explanation.ts'
import { isAutonomous, type VerifiedIdentity } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Asked, PartyQuery, PolicyInput } from './ask/asked.ts'
import { askOwnVocabulary } from './ask/own-vocabulary.ts'
import { TypeMismatch } from './ask/typed.ts'
import { askWarderVocabulary } from './ask/warder-vocabulary.ts'
import { type Combined, combine, deny, type PartyEvaluation } from './combine.ts'
import { explain } from './explain.ts'
import { unsupportedObligation } from './obligations.ts'
import type { Evaluate } from './port.ts'
import { bestCase } from './possible.ts'

/** The policy step: from verified facts to allow or deny with obligations. Never throws for anything a caller can send. */
export type JudgePolicy = (input: PolicyInput) => Judgement

/**
 * Builds the policy step over an evaluator: one query per party, all must allow; and where something was declared, all
 * must allow with and without it.
 */
export function createJudgePolicy(evaluate: Evaluate): JudgePolicy {
  return (input) => {
    const asked = ask(input)
    if (!asked.ok)
      return judgement(
        deny([asked.reason]),
        input,
        asked.detail === undefined ? {} : { detail: asked.detail },
      )
    const plain = evaluateAll(evaluate, input, asked.queries)
    const base = combine(plain, (id) => input.release.find(id), asked.autonomous)
    const evaluations = plain.concat()
    let combined = base
    if (asked.withDeclared !== undefined) {
      const declared = evaluateAll(evaluate, input, asked.withDeclared)
      evaluations.push(...declared)
      combined = restrict(
        base,
        combine(declared, (id) => input.release.find(id), asked.autonomous),
        // INVARIANT: what either answer obliges to stays; declaring something sheds no obligation.
        () => combine([...plain, ...declared], (id) => input.release.find(id), asked.autonomous),
      )
    }
    const trace = traceOf(asked, evaluations)
    // INVARIANT: a stored entity that does not fit the schema was read as empty; what it would have forbidden is unknown.
    const mismatch = asked.views.map((view) => view.mismatch).find((found) => found !== undefined)
    const found =
      mismatch !== undefined
        ? judgement(deny([{ code: 'registry.invalid' }]), input, { ...trace, detail: mismatch })
        : judgement(supported(combined, input), input, trace)
    return input.request.explain === 'operator'
      ? { ...found, explanation: explainAsked(input, asked, evaluations) }
      : found
  }
}

function ask(input: PolicyInput): Asked {
  try {
    return input.release.vocabulary === 'own' ? askOwnVocabulary(input) : askWarderVocabulary(input)
  } catch (error) {
    if (!(error instanceof TypeMismatch)) throw error
    return {
      ok: false,
      reason: {
        code: 'request.context_invalid',
        message: `${REASONS['request.context_invalid']}: ${error.message}`,
      },
    }
  }
}

function evaluateAll(
  evaluate: Evaluate,
  { release, request }: PolicyInput,
  queries: readonly PartyQuery[],
): PartyEvaluation[] {
  const outcomes = evaluate(
    release,
    queries.map(({ query }) => query),
  )
  return queries.map((asked, i) => {
    const outcome = outcomes[i] ?? { kind: 'engine', detail: 'the engine left a query unanswered' }
    const found: PartyEvaluation = { party: asked.party, outcome }
    return request.argumentsOpen === true ? bestCase(release, asked, found) : found
  })
}

/** INVARIANT: what is declared only restricts. An allow needs both answers; a deny with the declared facts stands. */
function restrict(base: Combined, declared: Combined, both: () => Combined): Combined {
  if (declared.effect === 'deny') return declared
  if (base.effect === 'deny') return { ...base, reasons: [{ code: 'policy.declared_only' }, ...base.reasons] }
  return both()
}

function supported(combined: Combined, { gateway, request }: PolicyInput): Combined {
  const missing = unsupportedObligation(
    combined.obligations,
    gateway,
    request.dialect,
    request.supportedObligations,
  )
  if (missing === undefined || combined.effect === 'deny') return combined
  const message = `${REASONS['obligation.unsupported']}: \`${missing}\``
  return deny([{ code: 'obligation.unsupported', message }])
}

/**
 * Adds the expiry. Without a `max_age` obligation an allow is good for this call alone (it expires when it is given);
 * with one it may be reused that long, never beyond the access token or what the delegation rests on. INVARIANT: an allow that rests
 * on a proof of possession is good for the call that proved it.
 */
function judgement(combined: Combined, { request, identity }: PolicyInput, trace: JudgementTrace): Judgement {
  if (combined.effect === 'deny') {
    const challenge = stepUpChallenge(combined, identity)
    return { ...combined, expiresAt: undefined, trace, ...(challenge !== undefined && { challenge }) }
  }
  const maxAge = combined.obligations.find(({ type }) => type === 'max_age')?.properties['seconds']
  const isProven = identity.token?.boundTo !== undefined || (identity.presenter?.proof ?? 'none') !== 'none'
  const reusable = toSeconds(request.now) + (typeof maxAge === 'number' && !isProven ? maxAge : 0)
  const ends = [identity.token?.expiresAt, identity.delegation.endsAt].filter((end) => end !== undefined)
  const expiresAt = Math.min(reusable, ...ends)
  return { ...combined, expiresAt: expiresAt as ReturnType<typeof toSeconds>, trace }
}

/**
 * What a user must do to be answered otherwise (RFC 9470 section 3). Only for a verified token of a user: the challenge tells
 * what policies demand, and an agent that acts alone has nobody who could authenticate.
 */
function stepUpChallenge({ obligations }: Combined, identity: VerifiedIdentity): Challenge | undefined {
  const { token, user } = identity
  const demanded = obligations.find(({ type }) => type === 'step_up')?.properties
  if (demanded === undefined || token === undefined || user?.provenance !== 'verified') return undefined
  if (isAutonomous(identity)) return undefined
  const { acr_value: acr, max_age_seconds: maxAge } = demanded
  return {
    scheme: 'Bearer',
    error: 'insufficient_user_authentication',
    ...(typeof acr === 'string' && { acrValues: [acr] }),
    ...(typeof maxAge === 'number' && { maxAgeSeconds: maxAge }),
  }
}

function explainAsked(
  { release }: PolicyInput,
  { queries, withDeclared = [] }: Extract<Asked, { ok: true }>,
  evaluations: readonly PartyEvaluation[],
): Explanation {
  return explain(release, [...queries, ...withDeclared], evaluations, queries.length)
}

function traceOf(
  asked: Extract<Asked, { ok: true }>,
  evaluations: readonly PartyEvaluation[],
): JudgementTrace {
  const fault = evaluations
    .map(({ outcome }) => ('kind' in outcome ? outcome.detail : undefined))
    .find(Boolean)
  const found = evaluations.map(({ party, outcome }) =>
    'kind' in outcome
      ? { party, satisfied: [], errored: [] }
      : { party, satisfied: outcome.satisfied, errored: outcome.errored },
  )
  const trace = {
    evaluations: found,
    provenance: asked.provenance,
    ...(asked.tool !== undefined && { tool: asked.tool }),
  }
  return fault === undefined ? trace : { ...trace, detail: fault }
}

/** A reason with our own text added where the code alone says too little. */
export function explained(reason: Reason): Reason {
  return reason.message === undefined ? { ...reason, message: REASONS[reason.code] } : reason
}
