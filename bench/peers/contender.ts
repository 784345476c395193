import type { LoadTarget } from '../load.ts'

/** One system in one setting, running, alone on core 0. */
export interface Contender {
  readonly name: string
  readonly pid: number
  /** Requests that it takes to decide once. */
  readonly calls: number
  readonly target: LoadTarget
  /** Bodies of the decision with this number, each an allow for an allow. */
  readonly bodies: (decision: number) => readonly string[]
  /** Requests before anything is measured. */
  readonly warmUpRequests: number
  /** Ends its process; contenders that share one end it together. */
  end(): Promise<void>
}

/** Traffic of several requests a decision, one request at a time; it goes on where the last load stopped. */
export function inTurn(bodies: Contender['bodies'], calls: number): LoadTarget['body'] {
  let sent = -1
  return () => {
    sent += 1
    return bodies(Math.floor(sent / calls))[sent % calls] ?? ''
  }
}
