/** What an alarm shares with its thread. */
export interface AlarmMemory {
  readonly state: SharedArrayBuffer
  readonly instant: SharedArrayBuffer
}

/** Place in `state`: how many alarms were asked for. */
export const ASKED = 0
/** Place in `state`: how many rang. */
export const RUNG = 1

export function sharedMemory(): AlarmMemory {
  return { state: new SharedArrayBuffer(8), instant: new SharedArrayBuffer(8) }
}

/** `instant` holds milliseconds since the epoch: two threads count `performance.now()` from different beginnings. */
export function openMemory({ state, instant }: AlarmMemory): {
  readonly state: Int32Array<SharedArrayBuffer>
  readonly instant: Float64Array<SharedArrayBuffer>
} {
  return { state: new Int32Array(state), instant: new Float64Array(instant) }
}
