import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type BenchDatabases, startDatabases } from './database.ts'
import type { Prepared } from './measure.ts'
import { type CerbosSetting, installCerbos, startCerbos } from './peers/cerbos.ts'
import { cerbosTenant } from './peers/cerbos-policies.ts'
import type { Contender } from './peers/contender.ts'
import { MIXED_REQUESTS } from './peers/facts.ts'
import { installOpa, startOpa } from './peers/opa.ts'
import { type Comparison, renderPeers } from './peers/report.ts'
import { expectAgreement, type Lengths, sideBySide } from './peers/side-by-side.ts'
import { startWarder } from './peers/warder.ts'
import { loadNow, writeReport } from './report.ts'
import { createScenario, type Kind, REPEAT_AFTER } from './scenario.ts'
import { leaveCoreZero } from './server-process.ts'
import { HARDLY_WARM, WARM, type WarmUp } from './warm-up.ts'

// npm run bench:peers [-- --quick]: Warder beside Cerbos and, where Go is installed, OPA; rewrites docs/performance.md.
// Installs both into .cache/peers on first use. --quick: a smoke test of less than a minute, prints only.

interface Plan extends Lengths {
  readonly command: string
  readonly tenants: readonly { readonly kind: Kind; readonly size: number }[]
  readonly agreementRequests: number
  /** Also other settings of the garbage collector, gRPC and logs. */
  readonly settings: boolean
  /** Of Warder; what others compile before they start needs none. */
  readonly warmUp: WarmUp
  readonly writesReport: boolean
}

const FULL: Plan = {
  command: 'npm run bench:peers',
  tenants: [
    { kind: 'one-query', size: 1_000 },
    { kind: 'agent-user', size: 1_000 },
    { kind: 'one-query', size: 10 },
  ],
  rounds: 5,
  burstMilliseconds: 1_000,
  halfLoadRounds: 1,
  halfLoadMilliseconds: 3_000,
  agreementRequests: 500,
  settings: true,
  warmUp: WARM,
  writesReport: true,
}

const QUICK: Plan = {
  command: 'npm run bench:peers -- --quick',
  tenants: [
    { kind: 'one-query', size: 100 },
    { kind: 'agent-user', size: 100 },
  ],
  rounds: 1,
  burstMilliseconds: 400,
  halfLoadRounds: 1,
  halfLoadMilliseconds: 400,
  agreementRequests: 100,
  settings: false,
  warmUp: HARDLY_WARM,
  writesReport: false,
}

const REPORT = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const CACHE = fileURLToPath(new URL('../.cache/peers', import.meta.url))

const options = parseArgs({ options: { quick: { type: 'boolean' } } }).values
const plan = options.quick === true ? QUICK : FULL
const cerbos = installCerbos(CACHE)
const opa = installOpa(CACHE)
leaveCoreZero()
const startedAt = new Date()
const loadBefore = loadNow()
const databases = await startDatabases()
const folder = await mkdtemp(join(tmpdir(), 'warder-peers-'))
try {
  const comparisons: Comparison[] = []
  for (const tenant of plan.tenants) comparisons.push(await compare(databases, tenant))
  const report = renderPeers({
    command: plan.command,
    startedAt,
    loads: [loadBefore, loadNow()],
    rounds: plan.rounds,
    hasOpa: opa !== undefined,
    comparisons,
  })
  console.log(`\n${report}`)
  if (plan.writesReport) writeReport(REPORT, 'peers', report)
} finally {
  await databases.close()
  await rm(folder, { recursive: true, force: true })
}

async function compare(
  target: BenchDatabases,
  { kind, size }: { readonly kind: Kind; readonly size: number },
): Promise<Comparison> {
  const scenario = createScenario(kind, size)
  const database = `peers_${kind}_${size}`
  progress(`preparing ${size} policies, ${kind}`)
  const prepared = { scenario, database, gatewayKey: await target.prepare(database, scenario) }
  const contenders: Contender[] = []
  try {
    await startAll(target.dataDirectory, prepared, contenders)
    progress('asking all the same')
    const allowed = await expectAgreement(contenders, plan.agreementRequests)
    progress(`measuring ${contenders.length} contenders in turn`)
    const results = await sideBySide(contenders, plan)
    return { kind, size, results, agreed: plan.agreementRequests, allowed }
  } finally {
    const ends = new Map(contenders.map((contender) => [contender.pid, contender.end]))
    for (const end of ends.values()) await end()
  }
}

/** The first one is what the others are compared with. */
async function startAll(dataDirectory: string, prepared: Prepared, contenders: Contender[]): Promise<void> {
  const { scenario } = prepared
  const place = (name: string): string => join(folder, `${scenario.kind}-${scenario.size}-${name}`)
  const tenant = cerbosTenant(scenario)
  const settings: readonly CerbosSetting[] = [
    { name: '', grpc: true },
    ...(plan.settings
      ? [
          { name: ', GOGC=800', gogc: '800', grpc: true },
          { name: ', decisions logged to a file', audit: true },
        ]
      : []),
  ]
  for (const [i, setting] of settings.entries())
    contenders.push(...(await startCerbos(cerbos, place(`cerbos-${i}`), tenant, setting)))
  if (opa !== undefined) {
    contenders.push(await startOpa(opa, place('opa'), scenario, { name: '' }))
    if (plan.settings)
      contenders.push(await startOpa(opa, place('opa'), scenario, { name: ', GOGC=800', gogc: '800' }))
  }
  const repeatAfter = scenario.kind === 'one-query' ? MIXED_REQUESTS : REPEAT_AFTER
  contenders.push(...(await startWarder(dataDirectory, prepared, 'off', plan.warmUp, repeatAfter)))
  for (const log of plan.settings ? (['buffer', 'require'] as const) : [])
    contenders.push(...(await startWarder(dataDirectory, prepared, log, plan.warmUp)))
}

function progress(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)
}
