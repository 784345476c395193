import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { authzen } from '#gateways/authzen.ts'
import { native } from '#gateways/native.ts'
import { systemClock } from '#lib/clock.ts'
import type { Gateway } from '#model/gateway.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import { type GatewayId, parseTenantId } from '#model/ids.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { PolicyInput } from '#policy/ask/asked.ts'
import { EntityFactsView } from '#policy/ask/entity-facts.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { Memo } from '#policy/engine/memo.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { createJudgePolicy, type JudgePolicy } from '#policy/judge.ts'
import type { Evaluate, Query } from '#policy/port.ts'
import { parseRegistry } from '#registry/parse-registry.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { compileScenario, TENANT } from './database.ts'
import { createScenario, KINDS, type Scenario } from './scenario.ts'
import { median } from './statistics.ts'

// node bench/evaluators.ts [SIZE ...]: CPU time of the policy step alone, in one process and without HTTP, identity and log, with
// cedar-wasm and with compiled policies; and the memory of registered entities. Prints only.

const DISTINCT = 2_000
const MILLISECONDS = 400
const ROUNDS = 5

/** The same requests come again and again; what cedar-wasm costs is measured, not its memo. */
const FORGETFUL: Memo = {
  find: () => undefined,
  offer: () => undefined,
  stats: () => ({ hits: 0, misses: 0, entries: 0 }),
}

const tenant = parseTenantId(TENANT)
if (tenant === undefined) throw new Error('the tenant of the bench has no valid name')
const gateway: Gateway = {
  id: '01930000-0000-7000-8000-000000000001' as GatewayId,
  name: 'bench',
  tenant,
  asserts: undefined,
  userOnly: false,
  obligations: undefined,
}

const sizes = process.argv.slice(2).map(Number)
for (const size of sizes.length === 0 ? [10, 1_000, 10_000] : sizes) {
  for (const kind of KINDS) await compare(createScenario(kind, size))
}
measureEntities(100_000)

async function compare(scenario: Scenario): Promise<void> {
  const { policies, ...header } = await compileScenario(scenario)
  const release = await assembleRelease(
    header,
    (async function* () {
      yield policies
    })(),
  )
  const registry = registryOf(scenario.registry)
  const wasm = createEvaluate(createEngine(), FORGETFUL)
  const compiled = createCompiledEvaluate(() => {
    throw new Error('not compiled')
  })
  const inputs = Array.from({ length: DISTINCT }, (_, i) => inputOf(scenario, i, registry, release))
  const asked = inputs.map((input) => queriesOf(input))
  // Equal answers are part of what is measured.
  for (const [i, queries] of asked.entries())
    if (JSON.stringify(wasm(release, queries)) !== JSON.stringify(compiled(release, queries)))
      throw new Error(`request ${i} is decided differently`)
  const variants: readonly (readonly [string, (i: number) => unknown])[] = [
    ['evaluate, cedar-wasm', (i) => wasm(release, asked[i] ?? [])],
    ['evaluate, compiled', (i) => compiled(release, asked[i] ?? [])],
    ['judge, cedar-wasm', judging(createJudgePolicy(wasm), inputs)],
    ['judge, compiled', judging(createJudgePolicy(compiled), inputs)],
  ]
  const found = variants.map((): number[] => [])
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [v, [, run]] of variants.entries()) found[v]?.push(cpuMicrosecondsEach(run))
  for (const [v, [name]] of variants.entries()) {
    console.log(
      `${scenario.kind}, ${scenario.size} policies, ${name}: ${median(found[v] ?? []).toFixed(2)} us of CPU for a request`,
    )
  }
}

function judging(judge: JudgePolicy, inputs: readonly PolicyInput[]): (i: number) => unknown {
  return (i) => {
    const input = inputs[i]
    return input === undefined ? undefined : judge(input)
  }
}

function cpuMicrosecondsEach(run: (i: number) => unknown): number {
  const until = performance.now() + MILLISECONDS
  const before = process.cpuUsage()
  let done = 0
  while (performance.now() < until) {
    for (let i = 0; i < 100; i += 1) run((done + i) % DISTINCT)
    done += 100
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / done
}

function inputOf(
  { kind, path, body }: Scenario,
  number: number,
  registry: RegistrySnapshot,
  release: Release,
): PolicyInput {
  const dialect = kind === 'one-query' ? authzen : native
  const wire = {
    method: 'POST',
    rawUrl: path,
    rawHeaders: ['content-type', 'application/json'],
    body: Buffer.from(body(number)),
    peer: '127.0.0.1',
  }
  const read = dialect.read(wire, gateway, systemClock())
  const [request] = read.ok ? read.value.requests : []
  if (request === undefined) throw new Error('a request of the bench can not be read')
  const identity = identityOf(request)
  return { request, identity, gateway, registry, release, trusts: { properties: true, context: true } }
}

/** What verification would have made of the gateway's claims. */
function identityOf({ agent, user, subject }: AuthorizationRequest): VerifiedIdentity {
  const party = (claim: { readonly id: string } | undefined) =>
    claim === undefined ? undefined : ({ id: claim.id, provenance: 'gateway', properties: {} } as const)
  return {
    tenant: gateway.tenant,
    agent: party(agent),
    user: party(user),
    subject:
      subject === undefined
        ? undefined
        : { uid: { type: subject.type, id: subject.id }, provenance: 'gateway', properties: {} },
    delegation: { source: 'gateway', chain: [] },
    token: undefined,
  }
}

/** The queries that the policy step asks for this request. */
function queriesOf(input: PolicyInput): readonly Query[] {
  const queries: Query[] = []
  const recording: Evaluate = (_, asked) => {
    queries.push(...asked)
    return asked.map(() => ({ satisfied: [], errored: [] }))
  }
  createJudgePolicy(recording)(input)
  return queries
}

function registryOf(text: string): RegistrySnapshot {
  const parsed = parseRegistry(text, { tenant: TENANT })
  if (!parsed.ok) throw new Error('the registry of the bench can not be read')
  return applyEntities(emptyRegistry(), parsed.value.entities, [])
}

/** Heap of so many entities as they are registered, and in the form that policies see once each has been asked about. */
function measureEntities(count: number): void {
  const uid = (type: string, id: string) => ({ type, id })
  const header = {
    id: 'sha256:bench',
    vocabulary: 'own',
    validated: false,
    schema: undefined,
    policyCount: 0,
  }
  const release = {
    ...header,
    matching: () => [],
    find: () => undefined,
    upstreamHeaders: [],
  } as object as Release
  const before = heapMegabytes()
  const entities = Array.from({ length: count }, (_, i) => ({
    uid: uid('Document', `folder-${i % 1_000}/document-${i}`),
    attrs: { sensitivity: i % 4, owner: { __entity: uid('Person', `person-${i % 5_000}`) }, archived: false },
    tags: {},
    parents: [uid('Folder', `folder-${i % 1_000}`)],
  }))
  const registry = applyEntities(emptyRegistry(), entities, [])
  const stored = heapMegabytes()
  const view = new EntityFactsView(registry, release)
  for (const entity of entities) view.find(entity.uid)
  const known = heapMegabytes()
  // Used once more, so that neither was collected before it was measured.
  if (view.mismatch !== undefined || registry.size !== count) throw new Error('not all entities were read')
  console.log(
    `${count} entities: ${(stored - before).toFixed(0)} MB registered, ${(known - before).toFixed(0)} MB once each was asked about`,
  )
}

function heapMegabytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed / 2 ** 20
}
