const INTERVAL_MILLISECONDS = 10_000

/** Counts what proves no gateway; reports at once, then at most one line per ten seconds. */
export interface UnauthenticatedCounter {
  add(): void
  /** Reports what is left and stops. */
  close(): void
}

/**
 * Keeps a flood of unknown keys from filling the log.
 *
 * @param report gets the number of requests since the last report; never anything about a request
 */
export function countUnauthenticated(report: (count: number) => void): UnauthenticatedCounter {
  let count = 0
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    timer = undefined
    if (count === 0) return
    report(count)
    count = 0
    timer = setTimeout(flush, INTERVAL_MILLISECONDS)
    timer.unref()
  }
  return {
    add() {
      count++
      if (timer === undefined) flush()
    },
    close() {
      clearTimeout(timer)
      timer = undefined
      if (count > 0) report(count)
      count = 0
    },
  }
}
