import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { callEngine } from '#policy/compile/engine.ts'
import { tokens } from '#policy/compile/tokens.ts'
import { Unsupported } from './expression.ts'

/** A Long of the policy text that JSON numbers can not carry, in a place of its own. */
export const LONG = 'long'

/**
 * The conditions of a policy as compact JSON text: Cedar's own JSON form of `when` and `unless`, but Longs beyond 2^53,
 * which stand as `{"long": "<digits>"}` where Cedar has `{"Value": <digits>}`.
 *
 * @param json the policy's JSON form as the engine gave it, where it is known already
 * @throws Unsupported when the engine does not read the text; EngineFailure when it dies of it
 */
export function conditionsText(text: string, json: PolicyJson = parsed(text)): string {
  const large = [...tokens(text)].filter(
    (token) => token.kind === 'number' && !Number.isSafeInteger(Number(token.text)),
  )
  if (large.length === 0) return JSON.stringify(json.conditions)
  // The engine's JSON is rounded on its way, so the engine reads stand-ins that survive, and these are put back.
  const standIns = new Map<number, bigint>()
  let [safe, at, next] = ['', 0, Number.MAX_SAFE_INTEGER]
  for (const token of large) {
    while (text.includes(String(next))) next -= 1
    standIns.set(next, BigInt(token.text))
    safe += `${text.slice(at, token.start)}${next}`
    at = token.end
    next -= 1
  }
  const { conditions } = parsed(safe + text.slice(at))
  return JSON.stringify(conditions, (_, part: unknown) => {
    const value = typeof part === 'object' && part !== null && 'Value' in part ? part.Value : undefined
    const exact = typeof value === 'number' ? standIns.get(Math.abs(value)) : undefined
    if (exact === undefined || typeof value !== 'number') return part
    return { [LONG]: String(value < 0 ? -exact : exact) }
  })
}

function parsed(text: string): PolicyJson {
  const answer = callEngine((engine) => engine.policyToJson(text))
  if (answer.type === 'failure') throw new Unsupported('a policy that the engine does not read')
  return answer.json
}
