import { setTimeout as sleep } from 'node:timers/promises'
import type { AdminStore } from '#admin/ports.ts'
import type { FaultLines } from '#fault-lines.ts'
import type { Metrics } from '#http/metrics.ts'
import { systemClock } from '#lib/clock.ts'
import { faultText } from '#process-log.ts'
import { type Breakers, createBreakers, type Trip } from '#revocation/breakers.ts'
import { createRevocationEvents, type RevocationEvents } from '#revocation/events.ts'

/** What this server adds to the revocations of the database, and what it tells about them. */
export interface WiredRevocation {
  readonly breakers: Breakers
  readonly events: RevocationEvents
  /** Gives up telling the database of open breakers. */
  close(): void
}

const RETRY_MILLISECONDS = 1_000

/** Breakers that open here and are written for the other servers, and the events that gateways follow. */
export function wireRevocation(
  store: AdminStore,
  metrics: Pick<Metrics, 'breakerTrip'>,
  faults: FaultLines,
): WiredRevocation {
  const closing = new AbortController()
  const breakerStore = store.by({ actor: 'breaker', role: 'owner', route: 'warder serve' })

  async function tell({ tenant, agent, reason, expiresAt }: Trip): Promise<void> {
    while (systemClock() < expiresAt && !closing.signal.aborted) {
      try {
        const breaker = { kind: 'agent', mode: 'breaker', source: 'breaker' } as const
        await breakerStore.revoke({ tenant, id: agent, reason, expiresAt, ...breaker })
        return
      } catch (error) {
        faults.report({ message: 'an open breaker could not be stored', fault: faultText(error) })
        await sleep(RETRY_MILLISECONDS, undefined, { signal: closing.signal, ref: false }).catch(
          () => undefined,
        )
      }
    }
  }

  return {
    breakers: createBreakers((trip) => {
      metrics.breakerTrip()
      void tell(trip)
    }),
    events: createRevocationEvents(),
    close: () => closing.abort(),
  }
}
