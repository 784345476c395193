import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listen))
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no TCP address')
    return address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function listen() {
  const server = createServer()
  return new Promise<typeof server>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server))
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
