import type { EpochMilliseconds } from '#lib/clock.ts'

/** Endpoints that failed again and again, which are left alone for a while. */
export interface Circuits {
  /** Milliseconds for which the endpoint of `slot` is left alone still; 0 when it may be asked. */
  openFor(slot: string, now: EpochMilliseconds): number
  succeeded(slot: string): void
  failed(slot: string, now: EpochMilliseconds): void
}

interface Circuit {
  failures: number
  openUntil: number
}

const FAILURES_MAX = 3
const OPEN_SECONDS = { first: 5, max: 60 }

/** From the third failure in a row on an endpoint is left alone for 5 seconds, then twice as long each time, up to a minute. */
export function createCircuits(): Circuits {
  const circuits = new Map<string, Circuit>()
  return {
    openFor: (slot, now) => Math.max(0, (circuits.get(slot)?.openUntil ?? 0) - now),
    succeeded: (slot) => {
      circuits.delete(slot)
    },
    failed(slot, now) {
      const circuit = circuits.get(slot) ?? { failures: 0, openUntil: 0 }
      circuit.failures += 1
      const over = circuit.failures - FAILURES_MAX
      if (over >= 0)
        circuit.openUntil = now + 1000 * Math.min(OPEN_SECONDS.first * 2 ** over, OPEN_SECONDS.max)
      circuits.set(slot, circuit)
    },
  }
}
