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

/** What publishing one large release did to a running server. */
export interface PublishSample {
  /** Longest turn of the event loop of an otherwise idle server in CPU time, and on the clock. In milliseconds. */
  readonly idle: Turns
  /** The same under load. */
  readonly loaded: Turns & Pick<LoadResult, 'p99Milliseconds' | 'answers' | 'failed'>
  /** The same load without publishing. */
  readonly baseline: Turns & Pick<LoadResult, 'p99Milliseconds'>
}

/** Longest time between two turns of the event loop in milliseconds. */
export interface Turns {
  /** CPU time of the main thread: what other processes on the machine take does not count. */
  readonly cpu: number
  readonly clock: number
}

const RATE_PER_SECOND = 200
/** Servers follow an activation within a second; a machine that is busy otherwise may take longer. */
const FOLLOW_MILLISECONDS = 6_000
/** Into the window, so that there is load before and after. */
const PUSH_AFTER_MILLISECONDS = 500

/**
 * Pushes and activates a release of `size` policies beside a running server, `rounds` times: each time once while it is
 * idle and once under load, coming from the small release of `prepared`.
 *
 * @param nodeOptions options of the server's Node, such as `--cpu-prof`
 * @throws when the server does not decide by the new release at the end of a window
 */
export async function measurePublishing(
  databases: BenchDatabases,
  { scenario, database, gatewayKey }: Prepared,
  size: number,
  { rounds, windowMilliseconds }: { readonly rounds: number; readonly windowMilliseconds: number },
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
    await load()
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
  const idle = await watched(server, () => publish(store, first))
  expectRelease(idle.usage, first)
  await publish(store, small)
  const quiet = await watched(server, load)
  expectRelease(quiet.usage, small)
  const busy = await watched(server, async () => {
    const [loaded] = await Promise.all([
      load(),
      pause(PUSH_AFTER_MILLISECONDS).then(() => publish(store, second)),
    ])
    return loaded
  })
  expectRelease(busy.usage, second)
  await publish(store, small)
  const { p99Milliseconds, answers, failed } = busy.result
  return {
    idle: turnsOf(idle.usage),
    loaded: { ...turnsOf(busy.usage), p99Milliseconds, answers, failed },
    baseline: { ...turnsOf(quiet.usage), p99Milliseconds: quiet.result.p99Milliseconds },
  }
}

async function watched<Outcome>(
  server: ServerProcess,
  work: () => Promise<Outcome>,
): Promise<{ readonly usage: Usage; readonly result: Outcome }> {
  await server.start()
  const result = await work()
  return { usage: await server.stop(), result }
}

/** Pushes and activates, then waits until every running server has had time to follow. */
async function publish(store: AdminStore, release: ReleaseContent): Promise<void> {
  const pushed = await pushRelease(store, { tenant: TENANT, release, activate: true })
  if (!pushed.ok) throw new Error(pushed.failure.message)
  await pause(FOLLOW_MILLISECONDS)
}

/** The same policies under another name: servers have to load them again. */
function renamed(release: ReleaseContent, round: number, suffix: string): ReleaseContent {
  const digest = createHash('sha256').update(`${release.id} ${round} ${suffix}`).digest('hex')
  return { ...release, id: parseReleaseId(`sha256:${digest}`) }
}

function parseReleaseId(text: string): ReleaseId {
  return text as ReleaseId
}

function expectRelease({ release }: Usage, wanted: ReleaseContent): void {
  if (release !== wanted.id) throw new Error('the server did not follow an activation in time')
}

function turnsOf({ loopCpuMaxMilliseconds, loopDelayMaxMilliseconds }: Usage): Turns {
  return { cpu: loopCpuMaxMilliseconds, clock: loopDelayMaxMilliseconds }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
