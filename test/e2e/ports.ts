import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

// The kernel gives connections local ports from 32,768 up. A port from below can't be taken by one between the moment when
// it is chosen and the one when a server listens on it.
const FIRST_PORT = 10_000
const SLICES = 8
const SLICE_PORTS = 2_750

// Test processes that run side by side each choose from a slice of their own; other runs, from somewhere else in it.
const slice = FIRST_PORT + (Number(process.env['VITEST_POOL_ID'] ?? 0) % SLICES) * SLICE_PORTS
let offset = Math.floor(Math.random() * SLICE_PORTS)

/**
 * Ports that are free. This process chooses none of them again before it has been through all of its slice.
 *
 * @throws when none of its slice is free
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  for (let tries = 0; ports.length < count; tries++) {
    if (tries === SLICE_PORTS) throw new Error(`no port from ${slice} up is free`)
    const port = slice + (offset++ % SLICE_PORTS)
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Asks `isThere` until it says yes; an exception counts as no.
 *
 * @returns how many milliseconds that took
 * @throws after `withinMilliseconds`; the message carries `what` and the last exception
 */
export async function until(
  what: string,
  withinMilliseconds: number,
  isThere: () => Promise<boolean> | boolean,
): Promise<number> {
  const started = performance.now()
  let last: unknown
  for (;;) {
    try {
      if (await isThere()) return performance.now() - started
    } catch (error) {
      last = error
    }
    if (performance.now() - started > withinMilliseconds)
      throw new Error(`not within ${withinMilliseconds} ms: ${what}`, { cause: last })
    await sleep(20)
  }
}
