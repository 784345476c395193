/** One kind of line, with what tells it apart from others of its kind (an issuer). */
export interface FaultLine {
  readonly message: string
  readonly about?: string
  readonly fault: string
}

/** Writes one line. `count` and `seconds` are there when it stands for several faults. */
export type WriteFaultLine = (
  line: FaultLine & { readonly count?: number; readonly seconds?: number },
) => void

/** Faults that come again and again, as few lines. */
export interface FaultLines {
  report(line: FaultLine): void
  /** Writes what was only counted so far. */
  close(): void
}

interface Window {
  count: number
  latest: FaultLine
  readonly timer: NodeJS.Timeout
}

/** So many kinds are told apart at a time; the rest are written by their message alone. */
const KINDS_MAX = 100

/**
 * An outage repeats itself: the first fault of a kind is written at once, those of the next `windowMilliseconds` together
 * with how many they were, and so on until a window has none. Default 10,000.
 */
export function createFaultLines(write: WriteFaultLine, windowMilliseconds = 10_000): FaultLines {
  const windows = new Map<string, Window>()
  const flush = (key: string): void => {
    const window = windows.get(key)
    if (window === undefined) return
    if (window.count === 0) {
      clearInterval(window.timer)
      windows.delete(key)
      return
    }
    write({ ...window.latest, count: window.count, seconds: windowMilliseconds / 1000 })
    window.count = 0
  }
  return {
    report: (line) => {
      const full = JSON.stringify([line.message, line.about])
      const key = windows.has(full) || windows.size < KINDS_MAX ? full : line.message
      const known = windows.get(key)
      if (known !== undefined) {
        known.count += 1
        known.latest = line
        return
      }
      write(line)
      const timer = setInterval(() => flush(key), windowMilliseconds)
      timer.unref()
      windows.set(key, { count: 0, latest: line, timer })
    },
    close: () => {
      for (const [key, { timer }] of windows) {
        flush(key)
        clearInterval(timer)
      }
      windows.clear()
    },
  }
}
