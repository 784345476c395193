import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDatabases } from './database.ts'
import { closedLoop } from './load.ts'
import { targetOf } from './measure.ts'
import { renderTable } from './report.ts'
import { createScenario, KINDS } from './scenario.ts'
import { leaveCoreZero, startServerProcess } from './server-process.ts'
import { WARM, warmUp } from './warm-up.ts'

// node bench/profile.ts [one-query|agent-user] [POLICIES] [off|buffer|require]: where the CPU time of a server under full load
// goes, by folder. WARDER_ENGINE=wasm profiles cedar-wasm. Prints only.

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

const LOAD_MILLISECONDS = 6_000
/** What counts, in microseconds before the end: the load without its beginning and its end. */
const WINDOW = { from: 5_000_000, to: 1_000_000 }

const [kindName = 'one-query', sizeText = '1000', logName = 'off'] = process.argv.slice(2)
const kind = KINDS.find((each) => each === kindName) ?? 'one-query'
const log = logName === 'buffer' || logName === 'require' ? logName : 'off'
const size = Number(sizeText)

leaveCoreZero()
const databases = await startDatabases()
const folder = await mkdtemp(join(tmpdir(), 'warder-profile-'))
try {
  const scenario = createScenario(kind, size)
  const gatewayKey = await databases.prepare('profile', scenario)
  const { dataDirectory } = databases
  const settings = {
    dataDirectory,
    database: 'profile',
    log,
    kind,
    size,
    gatewayKey,
    repeats: false,
  } as const
  const server = await startServerProcess(settings, ['--cpu-prof', `--cpu-prof-dir=${folder}`])
  const target = targetOf(server.port, scenario, gatewayKey, false)
  await warmUp(server, target, WARM)
  const { answers, seconds } = await closedLoop(target, LOAD_MILLISECONDS)
  await server.end()
  const [file = ''] = await readdir(folder)
  const shares = sharesOf(JSON.parse(await readFile(join(folder, file), 'utf8')))
  console.log(
    `${kind}, ${size} policies, log ${log}: ${Math.round(answers / seconds)} decisions/s while profiled\n`,
  )
  const rows = shares.map(([area, share]) => [area, `${(100 * share).toFixed(1)} %`])
  console.log(renderTable(['where', 'share of the CPU time'], rows))
} finally {
  await databases.close()
  await rm(folder, { recursive: true, force: true })
}

/** What each area used itself, the most first. What Node does on behalf of a folder counts as that folder's. */
function sharesOf({ nodes, samples, timeDeltas }: Profile): readonly (readonly [string, number])[] {
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  )
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const areaOf = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const area = areaOfFrame(byId.get(at))
      if (area !== undefined) return area
    }
    return 'node: HTTP, sockets, event loop'
  }
  const used = new Map<string, number>()
  let left = 0
  for (let i = samples.length - 1; i >= 0 && left < WINDOW.from; i -= 1) {
    const [id = 0, microseconds = 0] = [samples[i], timeDeltas[i]]
    left += microseconds
    const area = areaOf(id)
    if (left > WINDOW.to && area !== 'idle') used.set(area, (used.get(area) ?? 0) + microseconds)
  }
  const all = [...used.values()].reduce((sum, each) => sum + each, 0)
  return [...used].map(([area, each]) => [area, each / all] as const).toSorted((a, b) => b[1] - a[1])
}

function areaOfFrame(frame: Profile['nodes'][number]['callFrame'] | undefined): string | undefined {
  if (frame === undefined) return undefined
  const { functionName, url } = frame
  if (functionName === '(idle)') return 'idle'
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (url.startsWith('wasm:')) return 'cedar-wasm'
  const own = /\/src\/(.+)\/[^/]+$/.exec(url)?.[1] ?? (/\/src\/[^/]+$/.test(url) ? '.' : undefined)
  if (own !== undefined) return own === '.' ? 'src/*.ts (decide, wire)' : `src/${own}`
  return /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]
}
