import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkAll, type Row } from './checks.ts'
import { compareSizes, type Flatness } from './compare.ts'
import { type BenchDatabases, startDatabases } from './database.ts'
import { measureDisk } from './disk.ts'
import { closedLoop, type LoadTarget } from './load.ts'
import { type Durations, measure, type Prepared, type Sample, summarise, type Variant } from './measure.ts'
import { measurePace } from './pace.ts'
import { LOG_SETTINGS, type LogSetting } from './protocol.ts'
import { measurePublishing, type PublishSample } from './publish.ts'
import { loadNow, type Run, renderRun, writeReport } from './report.ts'
import { createScenario, KINDS, SIZES } from './scenario.ts'
import { leaveCoreZero, type PlainServer, startEmptyServer } from './server-process.ts'
import { HARDLY_WARM, WARM } from './warm-up.ts'
import { openHttpWire, readWarder } from './wire.ts'

// npm run bench [-- --quick | --brief | --rounds N]: measures everything, prints it, and rewrites docs/performance.md.
// --brief: twenty minutes instead of two hours, with fewer variants.
// --quick: small and short, prints only; the figures say whether it runs, not how fast.

interface Plan extends Durations {
  readonly command: string
  readonly variants: readonly Variant[]
  readonly rounds: number
  /** Bursts on the smallest and the largest tenant of each kind. */
  readonly pairs: number
  readonly publishedPolicies: number
  readonly publishing: { readonly rounds: number; readonly windowMilliseconds: number }
  readonly writesReport: boolean
}

const EMPTY_WARM_UP_MILLISECONDS = 1_000
const REPORT = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

const plan = planOf(
  parseArgs({
    options: { quick: { type: 'boolean' }, brief: { type: 'boolean' }, rounds: { type: 'string' } },
  }).values,
)
leaveCoreZero()
const startedAt = new Date()
const loadBefore = loadNow()
const databases = await startDatabases()
const empty = await startEmpty()
try {
  const disk = measureDisk(databases.dataDirectory)
  const paceBefore = measurePace()
  const prepared = await prepareAll(databases, plan.variants)
  const rows = await measureAll(databases, plan, prepared, empty.target)
  const flatness = await compareAll(databases, plan, prepared)
  const published = await publishAll(databases, plan, prepared)
  const run: Run = {
    command: plan.command,
    startedAt,
    loads: [loadBefore, loadNow()],
    rows,
    published,
    publishedPolicies: plan.publishedPolicies,
    disk,
    paces: [paceBefore, measurePace()],
    checks: checkAll(rows, flatness, published),
  }
  const report = renderRun(run)
  console.log(`\n${report}`)
  if (plan.writesReport) writeReport(REPORT, 'bench', report)
} finally {
  await empty.server.end()
  await databases.close()
}

function planOf(options: {
  readonly quick?: boolean
  readonly brief?: boolean
  readonly rounds?: string
}): Plan {
  if (options.quick === true) {
    return {
      command: 'npm run bench -- --quick',
      variants: KINDS.flatMap((kind) =>
        [10, 100].map((size): Variant => ({ kind, size, log: 'buffer', repeats: false })),
      ),
      rounds: 1,
      pairs: 2,
      warmUp: HARDLY_WARM,
      measureMilliseconds: 500,
      publishedPolicies: 200,
      publishing: { rounds: 1, windowMilliseconds: 7_000 },
      writesReport: false,
    }
  }
  if (options.brief === true) return briefPlan()
  const rounds = Number(options.rounds ?? 3)
  return {
    command: `npm run bench${options.rounds === undefined ? '' : ` -- --rounds ${rounds}`}`,
    variants: KINDS.flatMap((kind) => [
      ...SIZES.flatMap((size) => LOG_SETTINGS.map((log): Variant => ({ kind, size, log, repeats: false }))),
      { kind, size: 1_000, log: 'buffer', repeats: true },
    ]),
    rounds,
    pairs: 20,
    warmUp: WARM,
    measureMilliseconds: 2_000,
    publishedPolicies: 10_000,
    publishing: { rounds: 3, windowMilliseconds: 8_000 },
    writesReport: true,
  }
}

function briefPlan(): Plan {
  const logs = (size: number): readonly LogSetting[] => (size === 1_000 ? LOG_SETTINGS : ['buffer'])
  return {
    command: 'npm run bench -- --brief',
    variants: KINDS.flatMap((kind) => [
      ...[10, 1_000, 10_000].flatMap((size) =>
        logs(size).map((log): Variant => ({ kind, size, log, repeats: false })),
      ),
      { kind, size: 1_000, log: 'buffer', repeats: true },
    ]),
    rounds: 1,
    pairs: 12,
    warmUp: WARM,
    measureMilliseconds: 2_000,
    publishedPolicies: 10_000,
    publishing: { rounds: 1, windowMilliseconds: 8_000 },
    writesReport: true,
  }
}

/** One database for each kind and size; compiling ten thousand policies takes a while. */
async function prepareAll(
  target: BenchDatabases,
  variants: readonly Variant[],
): Promise<ReadonlyMap<string, Prepared>> {
  const prepared = new Map<string, Prepared>()
  for (const variant of variants) {
    const database = databaseOf(variant)
    if (prepared.has(database)) continue
    const scenario = createScenario(variant.kind, variant.size)
    progress(`preparing ${variant.size} policies, ${variant.kind}`)
    prepared.set(database, { scenario, database, gatewayKey: await target.prepare(database, scenario) })
  }
  return prepared
}

/** A server that does nothing, used until V8 has optimised it. */
async function startEmpty(): Promise<{ readonly server: PlainServer; readonly target: LoadTarget }> {
  const server = await startEmptyServer()
  const { port } = server
  const open = openHttpWire({ port, path: '/', key: 'none', read: readWarder })
  const target = { open, body: () => '{}' }
  await closedLoop(target, EMPTY_WARM_UP_MILLISECONDS)
  return { server, target }
}

/** A B C A B C, so that whatever else the machine does meets every variant. */
async function measureAll(
  target: BenchDatabases,
  { variants, rounds, ...durations }: Plan,
  prepared: ReadonlyMap<string, Prepared>,
  empty: LoadTarget,
): Promise<readonly Row[]> {
  const samples = variants.map((): Sample[] => [])
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, variant] of variants.entries()) {
      progress(
        `round ${round + 1} of ${rounds}, ${i + 1} of ${variants.length}: ${variant.kind}, ${variant.size}, ${variant.log}`,
      )
      const tenant = prepared.get(databaseOf(variant))
      if (tenant !== undefined)
        samples[i]?.push(await measure(target.dataDirectory, tenant, variant, durations, empty))
    }
  }
  return variants.map((variant, i) => ({
    variant,
    samples: samples[i] ?? [],
    summary: summarise(samples[i] ?? []),
  }))
}

async function compareAll(
  target: BenchDatabases,
  { variants, pairs, warmUp }: Plan,
  prepared: ReadonlyMap<string, Prepared>,
): Promise<readonly Flatness[]> {
  const sizes = variants.map(({ size }) => size)
  const found: Flatness[] = []
  for (const kind of KINDS) {
    const small = prepared.get(databaseOf({ kind, size: Math.min(...sizes) }))
    const large = prepared.get(databaseOf({ kind, size: Math.max(...sizes) }))
    if (small === undefined || large === undefined) continue
    progress(`comparing ${small.scenario.size} and ${large.scenario.size} policies, ${kind}`)
    found.push(await compareSizes(target.dataDirectory, small, large, pairs, warmUp))
  }
  return found
}

async function publishAll(
  target: BenchDatabases,
  { publishedPolicies, publishing, warmUp }: Plan,
  prepared: ReadonlyMap<string, Prepared>,
): Promise<readonly PublishSample[]> {
  const small = prepared.get(databaseOf({ kind: 'agent-user', size: 10 }))
  if (small === undefined) return []
  progress(`publishing ${publishedPolicies} policies`)
  try {
    return await measurePublishing(target, small, publishedPolicies, { ...publishing, warmUp })
  } catch (error) {
    // What was measured before is worth printing; the checks say that this part is missing.
    console.error(error)
    return []
  }
}

function databaseOf({ kind, size }: Pick<Variant, 'kind' | 'size'>): string {
  return `bench_${kind}_${size}`
}

function progress(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)
}
