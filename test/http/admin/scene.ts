import { hashKey, newAdminToken } from '#admin/keys.ts'
import type { AdminStore } from '#admin/ports.ts'
import { ADMIN_ROLES, type AdminRole } from '#admin/roles.ts'
import { createSealing } from '#admin/sealing.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import { adminRoutes } from '#http/admin-listener.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { createTransmitterClient, type TransmitterClient } from '#signals/transmitter-client.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createQueryLog } from '#store/decisions.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import { createWorld, NOON, policyFile, type World } from '../../support/world.ts'

/** An answer with its parsed body. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into every kind of answer
  readonly json: any
}

/** The admin API on a database of its own, with the tenants `acme` and `globex` and a token for each role. */
export interface Scene {
  readonly database: TestDatabase
  readonly store: AdminStore
  /** Tokens for all tenants. */
  readonly tokens: { readonly [role in AdminRole]: string }
  /** Tokens for `acme` alone. */
  readonly acme: { readonly [role in AdminRole]: string }
  readonly unauthenticated: () => number
  readonly faults: unknown[]
  call(method: string, path: string, token?: string, body?: unknown, headers?: object): Promise<Answer>
  /** What was decided for explanations, in memory. */
  readonly explained: readonly LogEntry[]
  close(): Promise<void>
}

/** Calls transmitters on this machine. */
export function transmitterClient(): TransmitterClient {
  return createTransmitterClient(sendOutbound, createTransmitterTokens(sendOutbound, systemClock))
}

const sealing = createSealing([new Uint8Array(32).fill(6)])

/** Opens a scene. */
export async function openScene(): Promise<Scene> {
  const database = await openTestDatabase()
  const store = createAdminStore(database, undefined, async () => sealing)
  for (const tenant of ['acme', 'globex']) await store.addTenant(tenant as TenantId)
  const { decider, rows } = await acmeWorld()
  let unauthenticated = 0
  const faults: unknown[] = []
  const app = adminRoutes({
    readiness: () => ({ ready: true, checks: [{ name: 'release', ok: true, detail: 'sha256:ab' }] }),
    metrics: { contentType: 'text/plain; version=0.0.4', text: () => Promise.resolve('warder_x 1\n') },
    status: () => ({ version: '0.1.0' }),
    store,
    log: createQueryLog(database),
    transmitters: transmitterClient(),
    explain: { decider, clock: () => NOON },
    installationSecret: () => Promise.resolve(new Uint8Array(32).fill(7)),
    onUnauthenticated: () => unauthenticated++,
    onFault: (error) => faults.push(error),
  })
  return {
    database,
    store,
    tokens: await tokensFor(store, 'all', null),
    acme: await tokensFor(store, 'acme', ['acme' as TenantId]),
    unauthenticated: () => unauthenticated,
    faults,
    explained: rows,
    async call(method, path, token, body, headers = {}) {
      const answer = await app.request(path, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await answer.text()
      const isJson = /json/.test(answer.headers.get('content-type') ?? '')
      return {
        status: answer.status,
        headers: answer.headers,
        text,
        json: isJson ? JSON.parse(text) : undefined,
      }
    },
    close: () => database.close(),
  }
}

const POLICIES = `@id("agents") permit (principal is Warder::Agent, action, resource)
when { context.risk.score < 50 };
@id("users") permit (principal is Warder::User, action, resource);`

/** The decision path with one agent, `bot`. */
async function acmeWorld(): Promise<World> {
  const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
  const attrs = { tenant, status: 'active', environment: 'any' }
  const bot = { uid: { type: 'Warder::Agent', id: 'bot' }, attrs, tags: {}, parents: [] }
  return await createWorld('acme', { policies: [policyFile(POLICIES)], entities: [bot] })
}

async function tokensFor(
  store: AdminStore,
  prefix: string,
  tenants: readonly TenantId[] | null,
): Promise<{ readonly [role in AdminRole]: string }> {
  const made: [AdminRole, string][] = []
  for (const role of ADMIN_ROLES) {
    const { key, hint } = newAdminToken()
    await store.addAdminToken({
      name: `${prefix}-${role}`,
      role,
      tenants,
      hash: hashKey(key),
      hint,
      expiresAt: null,
    })
    made.push([role, key])
  }
  return Object.fromEntries(made) as { readonly [role in AdminRole]: string }
}
