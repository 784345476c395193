import { hash } from 'node:crypto'
import type { ListenerMetrics } from '#http/port.ts'
import type { Clock, EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { Decider } from '#model/decider.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { DecisionId, GatewayId, ReleaseId, TenantId } from '#model/ids.ts'
import type { Obligation } from '#model/obligation.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'

/** The instant of every answer in wire tests. */
export const NOW = Date.UTC(2026, 10, 21, 12) as EpochMilliseconds

/** A clock that stands still. */
export const frozenClock: Clock = () => NOW

/** Key of the only gateway in wire tests. */
export const GATEWAY_KEY = 'wgk_test_0123456789abcdef0123456789'

/** The only gateway in wire tests. */
export const GATEWAY: Gateway = {
  id: '018f0000-0000-7000-8000-000000000001' as GatewayId,
  name: 'edge',
  tenant: 'acme' as TenantId,
  asserts: undefined,
  userOnly: false,
  obligations: undefined,
}

/** Finds the only gateway. */
export function findGateway(keyHash: string): Gateway | undefined {
  return keyHash === hash('sha256', GATEWAY_KEY) ? GATEWAY : undefined
}

/** What the fake says: `deny` where the tool, action or path contains that word, obligations where asked for. */
export interface FakeDecider extends Decider {
  readonly asked: AuthorizationRequest[]
  readonly refused: Malformed[]
}

/** A deterministic decider for tests of the wire alone. Ids count up; `obligations` come with every decision. */
export function fakeDecider(
  answer: Partial<Decision> | ((request: AuthorizationRequest) => Partial<Decision>) = {},
): FakeDecider {
  let count = 0
  const asked: AuthorizationRequest[] = []
  const refused: Malformed[] = []
  const nextId = (): DecisionId =>
    `019a0000-0000-7000-8000-${String(++count).padStart(12, '0')}` as DecisionId
  return {
    asked,
    refused,
    decide(request) {
      asked.push(request)
      const effect = isDenied(request) ? 'deny' : 'allow'
      const code = effect === 'allow' ? 'policy.permit' : 'policy.forbid'
      const given = typeof answer === 'function' ? answer(request) : answer
      return Promise.resolve({ ...decision(nextId(), effect, code), identity: identityOf(request), ...given })
    },
    refuse(malformed) {
      refused.push(malformed)
      return Promise.resolve(decision(nextId(), 'deny', malformed.code))
    },
  }
}

/** A decision as the fake gives it. */
export function decision(id: DecisionId, effect: 'allow' | 'deny', code: ReasonCode): Decision {
  return {
    id,
    tenant: 'acme' as TenantId,
    identity: {},
    upstreamHeaders: [],
    effect,
    reasons: [{ code, ...(code.startsWith('policy.') && { policy: 'p1' }) }],
    obligations: [],
    advice: [],
    release: `sha256:${'ab'.repeat(32)}` as ReleaseId,
    stateVersion: 7,
    decidedAt: NOW,
    expiresAt: effect === 'allow' ? ((NOW / 1000 + 60) as EpochSeconds) : undefined,
  }
}

/** An obligation of one policy. */
export function obligation(type: Obligation['type'], properties: Obligation['properties']): Obligation {
  return { type, properties, policies: ['p1'] }
}

/** Metrics that only count calls. */
export function countingMetrics(): ListenerMetrics & { readonly counts: Map<string, number> } {
  const counts = new Map<string, number>()
  const add = (name: string, by = 1): void => void counts.set(name, (counts.get(name) ?? 0) + by)
  return {
    counts,
    decided: (_dialect, { effect }) => add(effect),
    unauthenticated: () => add('unauthenticated'),
    malformed: (_dialect, code) => add(code),
    overloaded: () => add('overloaded'),
    fault: () => add('fault'),
    clientError: () => add('client_error'),
    inFlight: (change) => add('in_flight', change),
  }
}

function isDenied({ tool, action, route }: AuthorizationRequest): boolean {
  return [tool, action?.name, route?.path].some((name) => name?.includes('deny'))
}

function identityOf({ agent, user }: AuthorizationRequest): Decision['identity'] {
  return { ...(agent && { agent: agent.id }), ...(user && { user: user.id }) }
}
