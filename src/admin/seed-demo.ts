import type { TenantId } from '#model/ids.ts'
import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
import { type DemoFile, readDemoFile, removeDemoFile, writeDemoFile } from './demo-file.ts'
import { importRegistry } from './import-registry.ts'
import { hashKey, keyHint, newAdminToken, newGatewayKey } from './keys.ts'
import { exampleFolder, readPolicyFolder, readShippedPolicies, readTextFile } from './policy-folder.ts'
import type { AdminStore } from './ports.ts'
import { pushRelease } from './push-release.ts'

/** What the first start prints; kept in the data folder so that later starts can print it again. */
export interface DemoCredentials {
  readonly tenant: string
  readonly gatewayKey: string
  readonly adminToken: string
}

const TENANT = 'demo' as TenantId
const GATEWAY = 'demo'
const COMPILE_MILLISECONDS = 120_000

/**
 * Fills a database that has no tenant yet with the tenant `demo`: registry, active policies, a gateway and a token for
 * administrators. On later starts it gives the same credentials while they are valid; undefined on a database that is
 * in use otherwise. A start that was interrupted is completed by the next one.
 *
 * @param dataDirectory where `demo.json` (mode 0600) keeps the credentials; made when it is missing
 * @throws when the shipped example can't be read or compiled, or the database fails
 */
export async function seedDemo(
  store: AdminStore,
  dataDirectory: string,
  onProgress: (text: string) => void = () => undefined,
): Promise<DemoCredentials | undefined> {
  const kept = await readDemoFile(dataDirectory)
  const isEmpty = (await store.listTenants({ limit: 1 })).length === 0
  if (!isEmpty && kept === undefined) return undefined
  if (!isEmpty && kept?.complete === true)
    return (await isValid(store, kept)) ? credentialsOf(kept) : undefined
  onProgress('setting up the demo tenant')
  const file = kept ?? newDemoFile()
  // Written before anything else: if the process dies from here on, the next start knows that this seeding is its own.
  await writeDemoFile(dataDirectory, { ...file, complete: false })
  const added = await store.addTenant(TENANT)
  if (added === 'exists' && kept === undefined) {
    // Another server seeds the same database at this moment, with credentials of its own.
    await removeDemoFile(dataDirectory)
    return undefined
  }
  await fill(store)
  await addCredentials(store, file)
  await writeDemoFile(dataDirectory, { ...file, complete: true })
  return (await isValid(store, file)) ? credentialsOf(file) : undefined
}

async function fill(store: AdminStore): Promise<void> {
  const folder = exampleFolder('demo')
  const [registry, files, shipped] = await Promise.all([
    readTextFile(`${folder}/registry.json`),
    readPolicyFolder(folder),
    readShippedPolicies(),
  ])
  if (!registry.ok) throw new Error(registry.failure.message)
  if (!files.ok) throw new Error(files.failure.message)
  const imported = await importRegistry(store, { tenant: TENANT, text: registry.value })
  if (!imported.ok) throw new Error(`the demo registry: ${imported.failure.message}`)
  const compiled = await compileInWorker(
    { files: files.value, ...shipped },
    { timeoutMilliseconds: COMPILE_MILLISECONDS },
  )
  if (!compiled.ok) {
    const [first] = compiled.diagnostics
    throw new Error(`the demo policies: ${first?.file}:${first?.line}: ${first?.message}`)
  }
  const pushed = await pushRelease(store, { tenant: TENANT, release: compiled.release, activate: true })
  if (!pushed.ok) throw new Error(`the demo policies: ${pushed.failure.message}`)
}

async function addCredentials(store: AdminStore, file: DemoFile): Promise<void> {
  await store.addGateway({
    name: GATEWAY,
    tenant: TENANT,
    asserts: null,
    userOnly: false,
    obligations: null,
    keyHash: hashKey(file.gatewayKey),
    keyHint: keyHint(file.gatewayKey),
  })
  await store.addAdminToken({
    name: 'demo',
    role: 'admin',
    tenants: null,
    expiresAt: null,
    hash: hashKey(file.adminToken),
    hint: keyHint(file.adminToken),
  })
}

/** Whether the database still knows the credentials: they may be revoked, or belong to another database. */
async function isValid(store: AdminStore, file: DemoFile): Promise<boolean> {
  const gateways = await store.listGateways(TENANT, { limit: 1000 })
  const gateway = gateways.find(({ name }) => name === GATEWAY)
  return (
    gateway !== undefined &&
    gateway.revoked_at === null &&
    gateway.key_hints.includes(keyHint(file.gatewayKey)) &&
    (await store.findAdminToken(hashKey(file.adminToken))) !== undefined
  )
}

function newDemoFile(): DemoFile {
  return { gatewayKey: newGatewayKey().key, adminToken: newAdminToken().key, complete: false }
}

function credentialsOf({ gatewayKey, adminToken }: DemoFile): DemoCredentials {
  return { tenant: TENANT, gatewayKey, adminToken }
}
