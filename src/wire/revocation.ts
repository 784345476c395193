import { setTimeout as sleep } from 'node:timers/promises'
import type { Metrics } from '#http/metrics.ts'
import type { ReusedSession } from '#identity/families.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { type EpochMilliseconds, systemClock, toSeconds } from '#lib/clock.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'
import { type Breakers, createBreakers, type Trip } from '#revocation/breakers.ts'
import { createRevocationEvents, type RevocationEvents } from '#revocation/events.ts'
import { createReceiveSet, type ReceiveSet } from '#signals/receive.ts'
import { createAdminStore } from '#store/admin-store.ts'
import type { Database } from '#store/database.ts'
import { createSignalStore } from '#store/signals.ts'

/** What this server adds to the revocations of the database, and what it tells about them. */
export interface WiredRevocation {
  readonly breakers: Breakers
  readonly events: RevocationEvents
  readonly receiveSet: ReceiveSet
  /** Revokes a session on every server, because an older token of it was used again. */
  readonly reused: (session: ReusedSession) => void
  /** Gives up telling the database of open breakers. */
  close(): void
}

const RETRY_MILLISECONDS = 1_000
/** Sessions that are remembered as told, so that a flood of one stolen token writes one row. */
const REUSED_MAX = 10_000

/** Breakers that open here and are written for the other servers, events that gateways follow, and signals of others. */
export function wireRevocation(
  db: Database,
  metrics: Pick<Metrics, 'breakerTrip' | 'keysFault'>,
  faults: FaultLines,
): WiredRevocation {
  const closing = new AbortController()
  const store = createAdminStore(db, { actor: 'breaker', role: 'owner', route: 'warder serve' })
  const keys = createKeySets({
    fetch: createFetchJwks(),
    clock: systemClock,
    onFault: (about, fault) => {
      metrics.keysFault()
      faults.report({ message: 'the keys of a signal stream could not be fetched', about, fault })
    },
  })

  const receive = createReceiveSet({ store: createSignalStore(db), keys, clock: systemClock })

  async function tell({ tenant, agent, reason, expiresAt }: Trip): Promise<void> {
    while (systemClock() < expiresAt && !closing.signal.aborted) {
      try {
        const breaker = { kind: 'agent', mode: 'breaker', source: 'breaker' } as const
        await store.revoke({ tenant, id: agent, reason, expiresAt, ...breaker })
        return
      } catch (error) {
        faults.report({ message: 'an open breaker could not be stored', fault: faultText(error) })
        await sleep(RETRY_MILLISECONDS, undefined, { signal: closing.signal, ref: false }).catch(
          () => undefined,
        )
      }
    }
  }

  async function revokeReused({ tenant, issuer, session }: ReusedSession): Promise<void> {
    const now = systemClock()
    const id = `${issuer}|${session}`
    const reason = 'an older token of a rotated family was used again'
    // Tokens that live longer than a day are believed of no issuer.
    const expiresAt = (now + 2 * 86_400_000) as EpochMilliseconds
    const revocation = { kind: 'session', mode: 'deny', source: 'signal' } as const
    try {
      await store.revoke({ tenant, id, reason, issuedBefore: toSeconds(now), expiresAt, ...revocation })
    } catch (error) {
      faults.report({ message: 'a reused session could not be revoked', fault: faultText(error) })
    }
  }

  const told = new Set<string>()
  return {
    reused: (session) => {
      const slot = JSON.stringify(session)
      if (told.has(slot)) return
      if (told.size >= REUSED_MAX) told.clear()
      told.add(slot)
      void revokeReused(session).catch(() => undefined)
    },
    breakers: createBreakers((trip) => {
      metrics.breakerTrip()
      void tell(trip)
    }),
    events: createRevocationEvents(),
    receiveSet: async (...push) => {
      try {
        return await receive(...push)
      } catch (error) {
        faults.report({ message: 'a security event could not be stored', fault: faultText(error) })
        throw error
      }
    },
    close: () => {
      closing.abort()
      keys.close()
    },
  }
}
