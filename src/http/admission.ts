import type { GatewayId } from '#model/ids.ts'
import { createRoom, type Room } from './room.ts'

/** Room for requests between their first byte of body and their answer. */
export type Admission = Room<GatewayId>

/**
 * Bounds requests in flight.
 *
 * INVARIANT: no gateway takes all the room: half of it is the most that one may use, however slow its bodies are.
 */
export function createAdmission(requestsInFlightMax: number, onChange?: (change: 1 | -1) => void): Admission {
  return createRoom(requestsInFlightMax, Math.max(1, Math.floor(requestsInFlightMax / 2)), onChange)
}
