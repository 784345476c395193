import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { count } from './checks.ts'
import { type BenchDatabases, startDatabases } from './database.ts'
import { targetOf } from './measure.ts'
import type { Contender } from './peers/contender.ts'
import { startFloors } from './peers/floors.ts'
import { type Lengths, type Result, sideBySide } from './peers/side-by-side.ts'
import type { LogSetting } from './protocol.ts'
import { commit, loadNow, renderTable, writeReport } from './report.ts'
import { createScenario, type Scenario } from './scenario.ts'
import { leaveCoreZero, startServerProcess } from './server-process.ts'
import { HARDLY_WARM, WARM, warmUp } from './warm-up.ts'
import { openHttpWire, readWarder } from './wire.ts'

// npm run bench:goals [-- --quick]: one query beside what Node and Hono cost by themselves, in several shapes; rewrites
// docs/performance.md. --quick: a smoke test of half a minute, prints only.

const REPORT = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const BATCH = 20
const WARM_UP_REQUESTS = 3_000

const isQuick = parseArgs({ options: { quick: { type: 'boolean' } } }).values.quick === true
const lengths: Lengths = isQuick
  ? { rounds: 1, burstMilliseconds: 300, halfLoadRounds: 1, halfLoadMilliseconds: 300 }
  : { rounds: 5, burstMilliseconds: 1_000, halfLoadRounds: 1, halfLoadMilliseconds: 3_000 }

/** One server of ours. */
interface Shape {
  readonly name: string
  readonly size: number
  readonly log: LogSetting
  readonly entities?: number
  readonly isBatch?: boolean
}

const SHAPES: readonly Shape[] = [
  { name: 'log `off`', size: 1_000, log: 'off' },
  { name: 'log `buffer`', size: 1_000, log: 'buffer' },
  { name: 'log `require`', size: 1_000, log: 'require' },
  { name: 'log `buffer`, 10 policies', size: 10, log: 'buffer' },
  { name: 'log `buffer`, 10,000 policies', size: 10_000, log: 'buffer' },
  { name: `log \`buffer\`, batches of ${BATCH}`, size: 1_000, log: 'buffer', isBatch: true },
  { name: 'log `off`, 30 entities', size: 1_000, log: 'off', entities: 30 },
  { name: 'log `off`, 100 entities', size: 1_000, log: 'off', entities: 100 },
]

leaveCoreZero()
const startedAt = new Date()
const loadBefore = loadNow()
const databases = await startDatabases()
const gatewayKeys = new Map<string, string>()
const contenders: Contender[] = []
try {
  contenders.push(...(await startFloors(createScenario('one-query', 1_000))))
  for (const shape of SHAPES) {
    progress(`starting ${shape.name}`)
    contenders.push(await startShape(databases, shape))
  }
  progress(`measuring ${contenders.length} in turn`)
  const results = await sideBySide(contenders, lengths)
  const report = render(results)
  console.log(`\n${report}`)
  if (!isQuick) writeReport(REPORT, 'goals', report)
} finally {
  for (const { end } of contenders) await end()
  await databases.close()
}

async function startShape(
  databases: BenchDatabases,
  { name, size, log, entities, isBatch }: Shape,
): Promise<Contender> {
  const scenario = createScenario('one-query', size, entities)
  const database = `goals_${size}_${entities ?? 0}`
  const gatewayKey = gatewayKeys.get(database) ?? (await databases.prepare(database, scenario))
  gatewayKeys.set(database, gatewayKey)
  const { dataDirectory } = databases
  const settings = {
    dataDirectory,
    database,
    log,
    kind: 'one-query',
    size,
    gatewayKey,
    repeats: false,
  } as const
  const server = await startServerProcess(settings)
  const { port, pid, end } = server
  const target = targetOf(port, scenario, gatewayKey, false)
  await warmUp(server, target, isQuick ? HARDLY_WARM : WARM)
  const shared = { name: `Warder, ${name}`, pid, end, bodies: (number: number) => [scenario.body(number)] }
  return isBatch === true
    ? { ...shared, calls: 1 / BATCH, target: batchTarget(port, scenario, gatewayKey), warmUpRequests: 300 }
    : {
        ...shared,
        calls: 1,
        target,
        warmUpRequests: WARM_UP_REQUESTS,
      }
}

function batchTarget(port: number, { path, body }: Scenario, key: string): Contender['target'] {
  let sent = 0
  return {
    open: openHttpWire({ port, path: `${path}s`, key, read: readWarder }),
    body: () => {
      const items = Array.from({ length: BATCH }, (_, i) => body(sent + i))
      sent += BATCH
      return `{"evaluations":[${items.join()}]}`
    },
  }
}

function render(results: readonly Result[]): string {
  const [processor] = cpus()
  const facts = [
    `\`npm run bench:goals\` on ${startedAt.toISOString().slice(0, 10)}, commit ${commit()}, Node ${process.versions.node}, ${cpus().length} cores of ${processor?.model.trim() ?? 'an unknown processor'}`,
    `every server on core 0, in turn, all of them running; load generator and Postgres on core 1; ${lengths.rounds} rounds, medians`,
    `load average ${loadBefore.toFixed(1)} at the start, ${loadNow().toFixed(1)} at the end`,
    ...goals(results),
  ].map((fact) => `- ${fact}`)
  const table = renderTable(
    ['one query', 'decisions/s', 'CPU µs', 'CPU beside Hono', 'p50 ms', 'p99 ms', 'p99.9 ms', 'RSS MiB'],
    results.map((result) => [
      result.name,
      count(result.rate),
      count(result.cpuMicroseconds),
      (1 / result.cpuRatio).toFixed(2),
      result.p50Milliseconds.toFixed(2),
      result.p99Milliseconds.toFixed(2),
      result.p999Milliseconds.toFixed(2),
      count(result.memoryMebibytes),
    ]),
  )
  return `${facts.join('\n')}\n\n${table}`
}

/** What was set as a goal, and what came out. */
function goals(results: readonly Result[]): readonly string[] {
  const of = (name: string): Result | undefined => results.find((result) => result.name === `Warder, ${name}`)
  const cpu = (name: string): number => 1 / (of(name)?.cpuRatio ?? 0)
  const rate = (name: string): number => of(name)?.ratio ?? 0
  const goal = (isMet: boolean, text: string): string => `**${isMet ? 'MET' : 'MISSED'}**: ${text}`
  const [echo, flat] = [
    cpu('log `buffer`'),
    cpu('log `buffer`, 10,000 policies') / cpu('log `buffer`, 10 policies'),
  ]
  const require = rate('log `require`') / rate('log `buffer`')
  return [
    goal(
      echo <= 1.5,
      `a decision with log \`buffer\` costs at most 1.5 times a JSON echo of Hono: ${echo.toFixed(2)} times`,
    ),
    goal(flat <= 1.1, `10,000 policies cost at most 1.1 times what 10 do: ${flat.toFixed(2)} times`),
    goal(
      require >= 0.6,
      `\`require\` decides at least 0.6 times as many as \`buffer\`: ${require.toFixed(2)} times`,
    ),
  ]
}

function progress(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)
}
