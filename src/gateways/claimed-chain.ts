import { failed, type Result, success } from '#lib/result.ts'
import type { ActorClaim, Malformed, PartyClaim } from '#model/request.ts'
import type { Json } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'

/** Deepest chain that is read; the tenant's own limit is a matter of its rules. */
export const ACTORS_MAX = 8

/**
 * Reads nested actors as RFC 8693 section 4.1 writes them, outermost first. INVARIANT: what can't be read is refused, never
 * cut: an actor that is left out would not be looked at.
 */
export function readActors(act: Json | undefined, path: string): Result<readonly ActorClaim[], Malformed> {
  const actors: ActorClaim[] = []
  let at: Json | undefined = act
  for (; at !== undefined && at !== null; at = at['act']) {
    if (actors.length === ACTORS_MAX) return malformed(`\`${path}\` names more than ${ACTORS_MAX} actors`)
    if (!isJsonObject(at)) return malformed(`\`${path}\` must be an object in each of its levels`)
    const { sub, iss } = at
    if (typeof sub !== 'string' || sub === '')
      return malformed(`\`${path}\` needs a text \`sub\` in each level`)
    if (iss !== undefined && iss !== null && typeof iss !== 'string')
      return malformed(`\`${path}\` has an \`iss\` that is no text`)
    actors.push({ id: sub, issuer: iss ?? undefined })
  }
  return success(actors)
}

/** The agent that a chain and a field name: the same, or a contradiction. */
export function agentOfChain(
  agent: PartyClaim | undefined,
  [current]: readonly ActorClaim[],
  message: string,
): Result<PartyClaim | undefined, Malformed> {
  if (agent !== undefined && current !== undefined && agent.id !== current.id) return malformed(message)
  return success(agent ?? (current && { id: current.id, properties: {} }))
}

function malformed(message: string): Result<never, Malformed> {
  return failed({ code: 'request.wrong_type', message })
}
