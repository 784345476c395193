import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSealing } from '#admin/sealing.ts'
import { createDecider } from '#decide.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import { createMask } from '#decision-log/mask.ts'
import type { AppendRows } from '#decision-log/port.ts'
import { createLogWriter } from '#decision-log/writer.ts'
import type { Admit } from '#delegation/admission.ts'
import type { SignCapabilities } from '#identity/capabilities-signer.ts'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import type { ProofStep } from '#identity/proof/proof-step.ts'
import { createVerify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ClientDocuments } from '#model/client-document.ts'
import type { Decider } from '#model/decider.ts'
import type { Delegations } from '#model/delegation.ts'
import type { Gateway } from '#model/gateway.ts'
import { type GatewayId, parseTenantId, type TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { PolicyRecord, Release, SourceFile } from '#model/release.ts'
import type { Revocations } from '#model/revocation.ts'
import type { State, TenantState } from '#model/state.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { compileFolder } from '#policy/compile/compile.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import type { Evaluate } from '#policy/port.ts'
import { parseRegistry } from '#registry/parse-registry.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import type { Breakers } from '#revocation/breakers.ts'
import { opened } from './append-rows.ts'

/** Saturday, 21 November 2026, noon UTC: the frozen time of tests. */
export const NOON = Date.UTC(2026, 10, 21, 12) as EpochMilliseconds

/** The engine is one for a test file: loading it is the dear part. */
const evaluate = createEvaluate(createEngine())

/** What a world is made of. Policies as a folder's files, or the name of a folder under policies/examples. */
export interface WorldInput {
  readonly policies: string | readonly SourceFile[]
  readonly entities?: readonly StoredEntity[]
  readonly issuers?: readonly Issuer[]
  readonly gateway?: Partial<Gateway>
  readonly maskFields?: readonly string[]
  readonly rules?: TenantRules
  readonly revocations?: Revocations
  readonly delegations?: Delegations
  readonly apiKeys?: TenantState['apiKeys'] & {}
  /** Other tenants that are served. */
  readonly others?: readonly TenantState[]
  /** Stops agents for their denials. */
  readonly breakers?: Breakers
  /** Registers agents just in time, those with metadata documents by these. */
  readonly admit?: Admit
  readonly documents?: ClientDocuments
  /** Told of callers who could not be verified. */
  readonly onUnverified?: (gateway: Gateway) => void
  /** Signs lists of permitted tools. */
  readonly signCapabilities?: SignCapabilities
  /** Keys of issuers; without them every issuer needs static ones. */
  readonly keys?: KeySets
  /** Checks proofs; without it a token that is bound to a key denies. */
  readonly proofs?: ProofStep
  /** Instead of compiling `policies`. */
  readonly release?: Release
  /** Replaces the policy engine that all worlds of a file share. */
  readonly evaluate?: Evaluate
  /** Makes verification throw, as a bug would. */
  readonly faulty?: boolean
  /** Replaces the in-memory log. */
  readonly append?: AppendRows
}

/** One tenant in memory around the real pipeline; only the database is missing. */
export interface World {
  readonly decider: Decider
  readonly gateway: Gateway
  readonly tenant: TenantState
  /** Every row that was logged, oldest first. */
  readonly rows: LogEntry[]
}

/** Builds a tenant called `name` from a compiled release and a registry. */
export async function createWorld(name: string, input: WorldInput): Promise<World> {
  const id = tenantId(name)
  const gateway: Gateway = {
    id: '01930000-0000-7000-8000-000000000001' as GatewayId,
    name: 'test',
    tenant: id,
    asserts: undefined,
    userOnly: false,
    obligations: undefined,
    ...input.gateway,
  }
  const files =
    typeof input.policies === 'string' ? folder(`policies/examples/${input.policies}`) : input.policies
  const entities =
    input.entities ?? (typeof input.policies === 'string' ? registryOf(input.policies, id) : [])
  const tenant: TenantState = {
    id,
    version: 1,
    registry: applyEntities(emptyRegistry(), entities, []),
    release: input.release ?? (await releaseOf(files)),
    issuers: input.issuers ?? [],
    maskFields: new Set(input.maskFields),
    ...given(input),
  }
  const rows: LogEntry[] = []
  const decider = createDecider({
    clock: () => NOON,
    state: stateOf((asked) => [tenant, ...(input.others ?? [])].find((each) => each.id === asked)),
    tenants: () => [tenant, ...(input.others ?? [])],
    freshnessMillisecondsMax: 10_000,
    verify:
      input.faulty === true
        ? raise
        : createVerify({
            keys: keysOf(input),
            ...(input.proofs !== undefined && { proofs: input.proofs }),
          }),
    judgePolicy: createJudgePolicy(input.evaluate ?? evaluate),
    mask: createMask(new Uint8Array(32)),
    places: createSealing([new Uint8Array(32)]),
    log: createLogWriter({
      append:
        input.append ??
        (async (batch) => {
          rows.push(...batch.map(opened))
        }),
      mode: 'require',
      overflow: 'deny',
      queueMax: 10_000,
      writer: 'test',
      onFault: () => {},
      // Nothing but a log that a test replaces keeps anybody waiting.
      waitMilliseconds: input.append === undefined ? 60_000 : 200,
    }),
    onFault: () => {},
    ...(input.admit !== undefined && { admit: input.admit }),
    ...(input.documents !== undefined && { documents: input.documents }),
    ...(input.onUnverified !== undefined && { onUnverified: input.onUnverified }),
    ...(input.breakers !== undefined && { breakers: input.breakers }),
    ...(input.signCapabilities !== undefined && { signCapabilities: input.signCapabilities }),
  })
  return { decider, gateway, tenant, rows }
}

function keysOf({ keys }: WorldInput): KeySets {
  return keys ?? createKeySets({ clock: () => NOON, fetch: noFetch, onFault: raise })
}

/** What a tenant has only where a test says so. */
function given({ rules, revocations, delegations, apiKeys }: WorldInput): Partial<TenantState> {
  return {
    ...(rules !== undefined && { rules }),
    ...(revocations !== undefined && { revocations }),
    ...(delegations !== undefined && { delegations }),
    ...(apiKeys !== undefined && { apiKeys }),
  }
}

/** One policy file of a folder. */
export function policyFile(text: string): SourceFile {
  return { name: 'policies.cedar', text }
}

/** A compiled and indexed release; fails the test with the diagnostics when the folder does not compile. */
export async function releaseOf(files: readonly SourceFile[]): Promise<Release> {
  const outcome = compileFolder({
    files,
    guardrails: folder('policies/guardrails'),
    warderSchema: readFileSync('policies/schema.cedarschema', 'utf8'),
  })
  if (!outcome.ok)
    throw new Error(outcome.diagnostics.map((d) => `${d.file}:${d.line}: ${d.message}`).join('\n'))
  async function* batches(policies: readonly PolicyRecord[]) {
    yield policies
  }
  return await assembleRelease(outcome.release, batches(outcome.release.policies))
}

function raise(fault: unknown): never {
  throw fault
}

async function noFetch(): Promise<never> {
  throw new Error('no test of a world fetches keys')
}

/** A state that is fresh and knows no gateway, with the tenants that `find` gives. */
export function stateOf(find: State['tenant']): State {
  return {
    tenant: find,
    gatewayByKeyHash: () => undefined,
    refreshedAt: NOON,
    ageMilliseconds: () => 0,
    rolledBack: () => undefined,
  }
}

function folder(path: string): readonly SourceFile[] {
  return readdirSync(path)
    .filter((name) => name.endsWith('.cedar') || name.endsWith('.cedarschema'))
    .map((name) => ({ name, text: readFileSync(join(path, name), 'utf8') }))
}

function registryOf(example: string, tenant: TenantId): readonly StoredEntity[] {
  const parsed = parseRegistry(readFileSync(`policies/examples/${example}/registry.json`, 'utf8'), { tenant })
  if (!parsed.ok) throw new Error(parsed.failure.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  return parsed.value.entities
}

function tenantId(name: string): TenantId {
  const id = parseTenantId(name)
  if (id === undefined) throw new Error(`${name} is no tenant name`)
  return id
}
