import { createHash } from 'node:crypto'
import type { AdminStore } from '#admin/ports.ts'
import { pushRelease } from '#admin/push-release.ts'
import type { ReleaseId } from '#model/ids.ts'
import type { ReleaseContent } from '#model/release.ts'
import { type BenchDatabases, compileScenario, TENANT } from './database.ts'
import { type LoadResult, openLoop } from './load.ts'
import { type Prepared, targetOf } from './measure.ts'
import type { Usage } from './protocol.ts'
import { createScenario } from './scenario.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'
import { type WarmUp, warmUp } from './warm-up.ts'

/** What publishing one large release did to a running server. */
export interface PublishSample {
  /** Longest turn of the event loop of an otherwise idle server in CPU time, and on the clock. In milliseconds. */
  readonly idle: Turns & Followed
  /** The same under load. */
  readonly loaded: Turns & Followed & Pick<LoadResult, 'p99Milliseconds' | 'answers' | 'failed' | 'failures'>
  /** The same load without publishing. */
  readonly baseline: Turns & Pick<LoadResult, 'p99Milliseconds'>
}

/** Longest time between two turns of the event loop in milliseconds. */
export interface Turns {
  /** CPU time of the main thread: what other processes on the machine take does not count. */
  readonly cpu: number
  readonly clock: number
}

/** How soon an activation counted. */
export interface Followed {
  /** From the activation until the server decides by the new release, in milliseconds. */
  readonly followMilliseconds: number
}

const RATE_PER_SECOND = 200
/** When the measurement gives up. */
const FOLLOW_MILLISECONDS_MAX = 20_000
const ASK_EVERY_MILLISECONDS = 2
/** After the server follows: what that leaves to do shows up in the turns too. */
const SETTLE_MILLISECONDS = 1_000
/** Into the window, so that there is load before and after. */
const PUSH_AFTER_MILLISECONDS = 500

/**
 * Pushes and activates a release of `size` policies beside a running server, `rounds` times: each time once while it is
 * idle and once under load, coming from the small release of `prepared`.
 *
 * @param nodeOptions options of the server's Node, such as `--cpu-prof`
 * @throws when the server does not follow an activation at all
 */
export async function measurePublishing(
  databases: BenchDatabases,
  { scenario, database, gatewayKey }: Prepared,
  size: number,
  {
    rounds,
    windowMilliseconds,
    warmUp: warm,
  }: { readonly rounds: number; readonly windowMilliseconds: number; readonly warmUp: WarmUp },
  nodeOptions: readonly string[] = [],
): Promise<readonly PublishSample[]> {
  const { kind } = scenario
  const large = await compileScenario(createScenario(kind, size))
  const small = await compileScenario(scenario)
  const { db, store } = await databases.open(database)
  const { dataDirectory } = databases
  const server = await startServerProcess(
    { dataDirectory, database, log: 'require', kind, size: scenario.size, gatewayKey, repeats: false },
    nodeOptions,
  )
  try {
    const target = targetOf(server.port, scenario, gatewayKey, false)
    const load = (): Promise<LoadResult> => openLoop(target, RATE_PER_SECOND, windowMilliseconds)
    await warmUp(server, target, warm)
    const samples: PublishSample[] = []
    for (let round = 0; round < rounds; round += 1) {
      samples.push(
        await publishTwice(server, store, load, small, [
          renamed(large, round, 'a'),
          renamed(large, round, 'b'),
        ]),
      )
    }
    return samples
  } finally {
    await server.end()
    await db.close()
  }
}

async function publishTwice(
  server: ServerProcess,
  store: AdminStore,
  load: () => Promise<LoadResult>,
  small: ReleaseContent,
  [first, second]: readonly [ReleaseContent, ReleaseContent],
): Promise<PublishSample> {
  const idle = await watched(server, () => publish(server, store, first))
  await publish(server, store, small)
  const quiet = await watched(server, load)
  const busy = await watched(server, async () => {
    const [loaded, followMilliseconds] = await Promise.all([
      load(),
      pause(PUSH_AFTER_MILLISECONDS).then(() => publish(server, store, second)),
    ])
    return { ...loaded, followMilliseconds }
  })
  await publish(server, store, small)
  const { p99Milliseconds, answers, failed, failures, followMilliseconds } = busy.result
  return {
    idle: { ...turnsOf(idle.usage), followMilliseconds: idle.result },
    loaded: { ...turnsOf(busy.usage), p99Milliseconds, answers, failed, failures, followMilliseconds },
    baseline: { ...turnsOf(quiet.usage), p99Milliseconds: quiet.result.p99Milliseconds },
  }
}

async function watched<Outcome>(
  server: ServerProcess,
  work: () => Promise<Outcome>,
): Promise<{ readonly usage: Usage; readonly result: Outcome }> {
  await server.start('turns')
  const result = await work()
  return { usage: await server.stop(), result }
}

/** Pushes and activates; gives the milliseconds from then until the server decided by the release. */
async function publish(server: ServerProcess, store: AdminStore, release: ReleaseContent): Promise<number> {
  const pushed = await pushRelease(store, { tenant: TENANT, release, activate: true })
  if (!pushed.ok) throw new Error(pushed.failure.message)
  const activatedAt = performance.now()
  while ((await server.release()) !== release.id) {
    if (performance.now() - activatedAt > FOLLOW_MILLISECONDS_MAX)
      throw new Error('the server did not follow an activation')
    await pause(ASK_EVERY_MILLISECONDS)
  }
  const followMilliseconds = performance.now() - activatedAt
  await pause(SETTLE_MILLISECONDS)
  return followMilliseconds
}

/** The same policies under another name: servers have to load them again. */
function renamed(release: ReleaseContent, round: number, suffix: string): ReleaseContent {
  const digest = createHash('sha256').update(`${release.id} ${round} ${suffix}`).digest('hex')
  return { ...release, id: parseReleaseId(`sha256:${digest}`) }
}

function parseReleaseId(text: string): ReleaseId {
  return text as ReleaseId
}

function turnsOf({ loopCpuMaxMilliseconds, loopDelayMaxMilliseconds }: Usage): Turns {
  return { cpu: loopCpuMaxMilliseconds, clock: loopDelayMaxMilliseconds }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
