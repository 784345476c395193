import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { closedLoop, type LoadTarget } from './load.ts'
import { freePort } from './peers/peer-process.ts'
import { median } from './statistics.ts'
import { openHttpWire, readWarder } from './wire.ts'

// node bench/workers.ts: the demo's request to a whole `warder serve` with one process that decides and with two, in turn, bound
// to no core. Prints only. Postgres and the load generator need cores too: with fewer than four, two processes can not be twice as fast.

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const ROUNDS = 3
const WARM_UP_MILLISECONDS = 3_000
const MILLISECONDS = 3_000

const folder = await mkdtemp(join(tmpdir(), 'warder-workers-'))
const rates = new Map([1, 2].map((workers) => [workers, [] as number[]]))
try {
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [workers, found] of rates) found.push(await rateOf(workers))
  for (const [workers, found] of rates)
    console.log(`${workers} workers: ${Math.round(median(found))} decisions/s`)
  const [one = 1, two = 0] = [...rates.values()].map((found) => median(found))
  console.log(`two are ${(two / one).toFixed(2)} times as fast as one`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function rateOf(workers: number): Promise<number> {
  const port = await freePort()
  const env = {
    ...process.env,
    WARDER_DATA_DIR: join(folder, 'data'),
    WARDER_LISTEN: `127.0.0.1:${port}`,
    WARDER_ADMIN_LISTEN: `127.0.0.1:${await freePort()}`,
    WARDER_EXT_AUTHZ_LISTEN: `127.0.0.1:${await freePort()}`,
    WARDER_LOG_MODE: 'buffer',
    WARDER_WORKERS: String(workers),
  }
  const server = spawn(process.execPath, [MAIN, 'serve'], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  try {
    const target = await targetIn(createInterface({ input: server.stdout }), port)
    await closedLoop(target, WARM_UP_MILLISECONDS)
    const { answers, failed, seconds } = await closedLoop(target, MILLISECONDS)
    if (failed > 0) throw new Error(`${failed} requests failed`)
    return answers / seconds
  } finally {
    server.kill('SIGTERM')
    await ended
  }
}

/** The request of the line that `serve` prints for its user. */
async function targetIn(lines: AsyncIterable<string>, port: number): Promise<LoadTarget> {
  for await (const line of lines) {
    const key = /Bearer ([\w-]+)/.exec(line)?.[1]
    const body = /(?:-d|--data|--json) '([^']+)'/.exec(line)?.[1]
    if (!line.startsWith('curl ') || key === undefined || body === undefined) continue
    return { open: openHttpWire({ port, path: '/v1/decide', key, read: readWarder }), body: () => body }
  }
  throw new Error('the server ended before it printed its request')
}
