/** Resolves in the next turn of the event loop: what others wait for runs before. */
export { setImmediate as nextTurn } from 'node:timers/promises'

const waiting: (() => void)[] = []

/**
 * Resolves in a turn of the event loop that nobody else gets who waits here, in the order of asking.
 *
 * INVARIANT: however many long pieces of work there are in the process, what others wait for runs after a slice of one of them.
 */
export function turnOfOwn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    if (waiting.length === 1) setImmediate(callNext)
  })
}

function callNext(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(callNext)
}
