import { createDecisionListener, type DecisionListenerParts } from '#http/decision-listener.ts'
import { createExtAuthzListener } from '#http/ext-authz-listener.ts'
import { DEFAULT_LIMITS, type Listener } from '#http/port.ts'
import { countingMetrics, type FakeDecider, fakeDecider, findGateway, frozenClock } from './fake-decider.ts'

/** A listener with a fake decider behind it. */
export interface WireListener {
  readonly port: number
  readonly decider: FakeDecider
  readonly counts: ReadonlyMap<string, number>
  /** Every report of unauthenticated requests. */
  readonly reports: readonly number[]
  readonly listener: Listener
}

type Overrides = Partial<Omit<DecisionListenerParts, 'decider'>> & {
  readonly decider?: FakeDecider
  /** For the Envoy listener. */
  readonly isReady?: () => boolean
}

/** Starts the decision listener or the Envoy listener on a free port. */
export async function startListener(
  kind: 'decision' | 'ext-authz',
  overrides: Overrides = {},
): Promise<WireListener> {
  const metrics = countingMetrics()
  const reports: number[] = []
  const decider = overrides.decider ?? fakeDecider()
  const parts: DecisionListenerParts = {
    findGateway,
    clock: frozenClock,
    metrics,
    limits: DEFAULT_LIMITS,
    onUnauthenticated: (count) => reports.push(count),
    ...overrides,
    decider,
  }
  const listener = kind === 'decision' ? createDecisionListener(parts) : createExtAuthzListener(parts)
  const { port } = await listener.listen('127.0.0.1', 0)
  return { port, decider, counts: metrics.counts, reports, listener }
}
