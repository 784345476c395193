/** Told when a call began and ended, in milliseconds of `performance.now()`. Must not throw. */
export type ObserveTime = (startedAt: number, endedAt: number) => void

/** `run`, observed: also when it throws. Costs two looks at the clock. */
export function timed<Args extends readonly unknown[], Out>(
  run: (...args: Args) => Out,
  observe: ObserveTime,
): (...args: Args) => Out {
  return (...args) => {
    const startedAt = performance.now()
    try {
      return run(...args)
    } finally {
      observe(startedAt, performance.now())
    }
  }
}

/** The same for a promise: from the call until it is settled. */
export function timedAsync<Args extends readonly unknown[], Out>(
  run: (...args: Args) => Promise<Out>,
  observe: ObserveTime,
): (...args: Args) => Promise<Out> {
  return async (...args) => {
    const startedAt = performance.now()
    try {
      return await run(...args)
    } finally {
      observe(startedAt, performance.now())
    }
  }
}
