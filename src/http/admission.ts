import type { GatewayId } from '#model/ids.ts'

/** Room for requests between their first byte of body and their answer. */
export interface Admission {
  /** Takes a place; gives what leaves it again, exactly once. Undefined when there is none for this gateway. */
  enter(gateway: GatewayId): (() => void) | undefined
}

/**
 * Bounds requests in flight.
 *
 * INVARIANT: no gateway takes all the room: half of it is the most that one may use, however slow its bodies are.
 */
export function createAdmission(requestsInFlightMax: number, onChange: (change: 1 | -1) => void): Admission {
  const shareMax = Math.max(1, Math.floor(requestsInFlightMax / 2))
  const shares = new Map<GatewayId, number>()
  let inFlight = 0
  return {
    enter(gateway) {
      const share = shares.get(gateway) ?? 0
      if (inFlight >= requestsInFlightMax || share >= shareMax) return undefined
      inFlight++
      shares.set(gateway, share + 1)
      onChange(1)
      return () => {
        inFlight--
        const left = (shares.get(gateway) ?? 1) - 1
        if (left === 0) shares.delete(gateway)
        else shares.set(gateway, left)
        onChange(-1)
      }
    },
  }
}
