import { closedLoop, type LoadTarget } from './load.ts'
import { type Prepared, targetOf } from './measure.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'
import { median } from './statistics.ts'
import { type WarmUp, warmUp } from './warm-up.ts'

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
