import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addGateway } from '#admin/gateways.ts'
import { importRegistry } from '#admin/import-registry.ts'
import { readShippedPolicies } from '#admin/policy-folder.ts'
import type { AdminStore } from '#admin/ports.ts'
import { pushRelease } from '#admin/push-release.ts'
import { addTenant } from '#admin/tenants.ts'
import type { ReleaseContent } from '#model/release.ts'
import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createDatabase, type Database, openTarget } from '#store/database.ts'
import { type EmbeddedPostgres, joinEmbeddedPostgres } from '#store/embedded-postgres.ts'
import type { Scenario } from './scenario.ts'

/** The tenant of every measurement; each has a database of its own. */
export const TENANT = 'bench'

const COMPILE_MILLISECONDS = 600_000

/** An embedded Postgres for the length of a run. */
export interface BenchDatabases {
  readonly dataDirectory: string
  /** A new database with the tenant's registry, policies and gateway; gives the gateway key. */
  prepare(name: string, scenario: Scenario): Promise<string>
  /** Opens a prepared database for administration. */
  open(name: string): Promise<{ readonly db: Database; readonly store: AdminStore }>
  close(): Promise<void>
}

/** Starts a Postgres of its own in a temporary folder. */
export async function startDatabases(): Promise<BenchDatabases> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'warder-bench-'))
  const server = await joinEmbeddedPostgres({ dataDir: dataDirectory, applicationName: 'warder bench' })
  const open = async (name: string) => {
    const db = await openBenchDatabase(server, name)
    return { db, store: createAdminStore(db) }
  }
  return {
    dataDirectory,
    open,
    prepare: async (name, scenario) => {
      await createDatabase(server.target, name)
      const { db, store } = await open(name)
      try {
        return await fill(store, scenario)
      } finally {
        await db.close()
      }
    },
    close: async () => {
      await server.leave()
      await rm(dataDirectory, { recursive: true, force: true })
    },
  }
}

/** One database of the run's Postgres, with every migration applied. */
export function openBenchDatabase(server: EmbeddedPostgres, name: string): Promise<Database> {
  const target = { ...server.target, database: name }
  return openTarget(target, { applicationName: `warder bench ${name}` }, async () => undefined)
}

const compiledReleases = new Map<string, Promise<ReleaseContent>>()

/** A scenario's folder compiled as `warder policy push` does it, once. Rejects with the first diagnostic. */
export function compileScenario(scenario: Scenario): Promise<ReleaseContent> {
  const key = `${scenario.kind} ${scenario.size}`
  const release = compiledReleases.get(key) ?? compile(scenario)
  compiledReleases.set(key, release)
  return release
}

async function compile({ files }: Scenario): Promise<ReleaseContent> {
  const shipped = await readShippedPolicies()
  const compiled = await compileInWorker(
    { files, ...shipped },
    { timeoutMilliseconds: COMPILE_MILLISECONDS, heapMegabytesMax: 4_096 },
  )
  if (compiled.ok) return compiled.release
  const [first] = compiled.diagnostics
  throw new Error(`${first?.file}:${first?.line}: ${first?.message}`)
}

async function fill(store: AdminStore, scenario: Scenario): Promise<string> {
  succeeded(await addTenant(store, TENANT))
  succeeded(await importRegistry(store, { tenant: TENANT, text: scenario.registry }))
  const release = await compileScenario(scenario)
  succeeded(await pushRelease(store, { tenant: TENANT, release, activate: true }))
  const request = {
    name: 'load',
    tenant: TENANT,
    asserts: undefined,
    userOnly: false,
    obligations: undefined,
  }
  const { key } = succeeded(await addGateway(store, request))
  if (key === null) throw new Error('a gateway without a certificate has a key')
  return key
}

function succeeded<Value>(
  outcome:
    | { readonly ok: true; readonly value: Value }
    | { readonly ok: false; readonly failure: { readonly message: string } },
): Value {
  if (!outcome.ok) throw new Error(outcome.failure.message)
  return outcome.value
}
