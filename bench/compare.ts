import { closedLoop, type LoadTarget, openLoop } from './load.ts'
import { type Prepared, targetOf } from './measure.ts'
import { type ServerProcess, startEmptyServer, startServerProcess } from './server-process.ts'
import { median } from './statistics.ts'
import { type WarmUp, warmUp } from './warm-up.ts'
import { openHttpWire, readWarder } from './wire.ts'

/** How a server with many policies does beside one with few. */
export interface Flatness {
  readonly kind: Prepared['scenario']['kind']
  readonly small: number
  readonly large: number
  /** Rate with many policies divided by that with few; the median of the pairs. */
  readonly rate: number
  /** CPU time per decision, likewise. */
  readonly cpu: number
  readonly pairs: number
}

const WARM_UP_MILLISECONDS = 500
const BURST_MILLISECONDS = 300

/**
 * Runs both servers at once and loads them in turn, in short bursts with `buffer`: whatever else the machine does meets
 * both, which rounds that lie minutes apart do not achieve.
 */
export async function compareSizes(
  dataDirectory: string,
  small: Prepared,
  large: Prepared,
  pairs: number,
  warm: WarmUp,
): Promise<Flatness> {
  const servers: Contender[] = []
  try {
    for (const prepared of [small, large]) servers.push(await startContender(dataDirectory, prepared, warm))
    const found: { readonly rate: number; readonly cpu: number }[] = []
    for (let pair = 0; pair < pairs; pair += 1) {
      const order = pair % 2 === 0 ? servers : servers.toReversed()
      const bursts = new Map<Contender, Burst>()
      for (const contender of order) bursts.set(contender, await burst(contender))
      const [few, many] = servers.map((contender) => bursts.get(contender))
      if (few !== undefined && many !== undefined)
        found.push({ rate: many.rate / few.rate, cpu: many.cpu / few.cpu })
    }
    return {
      kind: small.scenario.kind,
      small: small.scenario.size,
      large: large.scenario.size,
      rate: median(found.map(({ rate }) => rate)),
      cpu: median(found.map(({ cpu }) => cpu)),
      pairs,
    }
  } finally {
    for (const { server } of servers) await server.end()
  }
}

/** The 99th percentile in milliseconds of a server that does nothing, at this rate: what the machine itself adds. */
export async function emptyServerP99(perSecond: number, rounds: number): Promise<number> {
  const server = await startEmptyServer()
  try {
    const { port } = server
    const target: LoadTarget = {
      open: openHttpWire({ port, path: '/', key: 'none', read: readWarder }),
      body: () => '{}',
    }
    await closedLoop(target, WARM_UP_MILLISECONDS)
    const found: number[] = []
    for (let round = 0; round < rounds; round += 1)
      found.push((await openLoop(target, perSecond, 4 * WARM_UP_MILLISECONDS)).p99Milliseconds)
    return median(found)
  } finally {
    await server.end()
  }
}

interface Contender {
  readonly server: ServerProcess
  readonly target: LoadTarget
}

interface Burst {
  readonly rate: number
  readonly cpu: number
}

async function startContender(
  dataDirectory: string,
  { scenario, database, gatewayKey }: Prepared,
  warm: WarmUp,
): Promise<Contender> {
  const { kind, size } = scenario
  const settings = { dataDirectory, database, kind, size, gatewayKey, log: 'buffer', repeats: false } as const
  const server = await startServerProcess(settings)
  const target = targetOf(server.port, scenario, gatewayKey, false)
  await warmUp(server, target, warm)
  return { server, target }
}

async function burst({ server, target }: Contender): Promise<Burst> {
  await server.start()
  const { answers, seconds } = await closedLoop(target, BURST_MILLISECONDS)
  const { cpuMicroseconds } = await server.stop()
  return { rate: answers / seconds, cpu: cpuMicroseconds / answers }
}
