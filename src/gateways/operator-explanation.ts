import type { Decision } from '#model/decision.ts'
import type { ExplainedParty, ExplainedPolicy, ExplainedTerm } from '#model/explanation.ts'
import type { JsonObject } from '#model/value.ts'

/** Everything that was found, for who may read the tenant's policies. Texts are those of the policies, never of the request. */
export function operatorExplanation(decision: Decision): JsonObject {
  return {
    text: operatorText(decision),
    reasons: decision.reasons.map(({ code, policy, message }) => ({
      code,
      ...(policy !== undefined && { policy }),
      ...(message !== undefined && { message }),
    })),
    parties: (decision.explanation?.parties ?? []).map(partyJson),
  }
}

function partyJson({ party, declared, policies, omitted, incomplete }: ExplainedParty): JsonObject {
  return {
    party,
    declared,
    policies: policies.map(policyJson),
    omitted,
    ...(incomplete === true && { incomplete }),
  }
}

function policyJson(policy: ExplainedPolicy): JsonObject {
  const { id, effect, file, line, outcome, nearMiss, terms, omittedTerms } = policy
  const shown = terms.map(({ kind, value, text, line: at }) => ({
    kind,
    value,
    ...(text !== undefined && { text }),
    ...(at !== undefined && { file, line: at }),
  }))
  return { id, effect, file, line, outcome, near_miss: nearMiss, terms: shown, omitted_terms: omittedTerms }
}

/** The same as lines to read. */
function operatorText({ effect, reasons, explanation }: Decision): string {
  const why = reasons.map(({ code, policy }) => (policy === undefined ? code : `${code} (${policy})`))
  const lines = [`${effect}: ${why.join(', ')}`]
  if (explanation === undefined) lines.push('the policies were not asked')
  for (const party of explanation?.parties ?? []) lines.push(...partyLines(party))
  return lines.join('\n')
}

function partyLines({ party, declared, policies, omitted, incomplete }: ExplainedParty): readonly string[] {
  const title = `${party}${declared ? ', with what was declared' : ''}:`
  if (incomplete === true) return [`${title} the policies could not be taken apart`]
  if (policies.length === 0) return [`${title} no policy is about this`]
  const more = omitted > 0 ? [`  and ${omitted} more`] : []
  return [title, ...policies.flatMap(policyLines), ...more]
}

function policyLines(policy: ExplainedPolicy): readonly string[] {
  const { id, effect, file, line, outcome, nearMiss, terms, omittedTerms } = policy
  const more = omittedTerms > 0 ? [`    and ${omittedTerms} more terms`] : []
  const head = `  ${effect} ${id} (${file}:${line}) ${outcome}${nearMiss ? ', nearly' : ''}`
  return [head, ...terms.map((term) => termLine(file, term)), ...more]
}

function termLine(file: string, { kind, value, text, line }: ExplainedTerm): string {
  const place = line === undefined ? file : `${file}:${line}`
  const source = text === undefined ? 'a term' : text.replaceAll(/\s+/g, ' ')
  return `    ${place} ${kind} ${source}: ${value}`
}
