import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { callEngine, EngineFailure } from './engine.ts'

const ANYTHING = {
  effect: 'permit',
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [],
} as const satisfies PolicyJson

/**
 * The scope of a policy as Cedar writes it, without comments and layout: `principal is User, action, resource`.
 * @throws EngineFailure
 */
export function scopeText(policy: PolicyJson): string {
  const { principal, action, resource } = policy
  const text = textOf({ ...ANYTHING, principal, action, resource })
  return text.slice('permit('.length, text.lastIndexOf(')'))
}

/**
 * An expression as Cedar writes it, without comments and layout.
 * @throws EngineFailure
 */
export function expressionText(body: Expr): string {
  const text = textOf({ ...ANYTHING, conditions: [{ kind: 'when', body }] })
  return text.slice(text.indexOf('{') + 1, text.lastIndexOf('}')).trim()
}

function textOf(policy: PolicyJson): string {
  const answer = callEngine((engine) => engine.policyToText(policy))
  if (answer.type === 'success') return answer.text
  throw new EngineFailure(answer.errors.map((error) => error.message).join('; '))
}
