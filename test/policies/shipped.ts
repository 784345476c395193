import { globSync, readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { PolicyRecord, ReleaseContent, SourceFile } from '#model/release.ts'
import type { State, TenantState } from '#model/state.ts'
import { type CompileOutcome, compileFolder } from '#policy/compile/compile.ts'
import { assembleRelease } from '#policy/release-index.ts'
import { parseRegistry } from '#registry/parse-registry.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'

/** Folders under policies/examples/: each is a whole tenant. */
export const EXAMPLES = globSync('policies/examples/*')
  .map((folder) => basename(folder))
  .toSorted((a, b) => a.localeCompare(b))

/** The instant at which all example requests are made. */
export const NOW = Date.UTC(2026, 0, 1, 12) as EpochMilliseconds

/** The files of a policy folder as `warder policy push` reads them. */
export function filesOf(folder: string): readonly SourceFile[] {
  return globSync([`${folder}/*.cedar`, `${folder}/*.cedarschema`, `${folder}/tests/*.json`]).map((path) => ({
    name: relative(folder, path),
    text: readFileSync(path, 'utf8'),
  }))
}

/** The shipped guardrails. */
export const GUARDRAILS = filesOf('policies/guardrails').filter((file) => file.name.endsWith('.cedar'))

/** Compiles files as a push does. */
export function compileFiles(files: readonly SourceFile[]): CompileOutcome {
  const warderSchema = readFileSync('policies/schema.cedarschema', 'utf8')
  return compileFolder({ files, guardrails: GUARDRAILS, warderSchema })
}

/** The release of an example; fails with everything that is wrong with it. */
export function releaseOf(example: string): ReleaseContent {
  const outcome = compileFiles(filesOf(`policies/examples/${example}`))
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics, null, 2))
  return outcome.release
}

/** An example as a running server holds it. */
export async function tenantOf(example: string): Promise<TenantState> {
  const content = releaseOf(example)
  const parsed = parseRegistry(readFileSync(`policies/examples/${example}/registry.json`, 'utf8'))
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure, null, 2))
  return {
    id: example as TenantId,
    version: 1,
    registry: applyEntities(emptyRegistry(), parsed.value.entities, []),
    release: await assembleRelease(content, batchesOf(content.policies)),
    issuers: [],
  }
}

/** The replica's view when only `tenant` exists. */
export function stateOf(tenant: TenantState): State {
  return {
    tenant: (id) => (id === tenant.id ? tenant : undefined),
    gatewayByKeyHash: () => undefined,
    refreshedAt: NOW,
  }
}

/** A gateway that registered nothing. */
export function gatewayOf(tenant: TenantState): Gateway {
  return {
    id: '00000000-0000-4000-8000-000000000001' as GatewayId,
    name: 'edge',
    tenant: tenant.id,
    asserts: undefined,
    userOnly: false,
    obligations: undefined,
  }
}

async function* batchesOf(policies: readonly PolicyRecord[]): AsyncIterable<readonly PolicyRecord[]> {
  yield policies
}
