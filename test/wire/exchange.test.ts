import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openSealing } from '#admin/sealing.ts'
import { parseIssuer } from '#identity/issuer.ts'
import type { ExchangeQuestion } from '#identity/token-exchange.ts'
import { type EpochSeconds, systemClock, toSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Revocation } from '#model/revocation.ts'
import type { State } from '#model/state.ts'
import { createFaultLines } from '#process/fault-lines.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type WiredExchange, wireExchange } from '#wire/exchange.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { type ExchangeServer, startExchangeServer } from '../support/exchange-server.ts'
import { newTenant } from '../support/store-samples.ts'
import { tenantWith } from '../support/tokens.ts'

const SESSION = { kind: 'session', id: 'https://idp.example|s-1' } as const
/** The server has little time to answer, and a slow machine may need several attempts. */
const POLL = { timeout: 100_000, interval: 250 }
vi.setConfig({ testTimeout: 240_000 })

let as: ExchangeServer
let db: TestDatabase
let folder: string
let tenant: TenantId
let issuer: Issuer
const lines: object[] = []
let wired: WiredExchange

beforeAll(async () => {
  as = await startExchangeServer()
  db = await openTestDatabase()
  folder = mkdtempSync(join(tmpdir(), 'warder-exchange-'))
  tenant = newTenant()
  await createAdminStore(db).addTenant(tenant)
  const parsed = parseIssuer(as.file())
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  issuer = (await openSealing(folder, undefined)).sealIssuer(tenant, parsed.value)
  wired = await wireExchange(
    { dataDirectory: folder, secretKeyFile: undefined },
    db,
    createFaultLines((line) => lines.push(line)),
  )
})
afterAll(async () => {
  await wired?.close()
  await db?.close()
  await as?.close()
  rmSync(folder, { recursive: true })
})

function question(subject: string): ExchangeQuestion {
  const now = systemClock()
  if (issuer.tokenExchange === undefined) throw new Error('no exchange')
  return {
    ...{ tenant, issuer, exchange: issuer.tokenExchange, audience: 'https://api.example', now },
    subject: new Hidden(subject),
    subjectExpiresAt: (toSeconds(now) + 300) as EpochSeconds,
    subjectIssuedAt: undefined,
    dependencies: [SESSION, { kind: 'agent', id: 'bot' }],
    crossings: [],
    endsAt: undefined,
  }
}

/** The exchanged token, once it is there, and whether it was there before. */
async function exchanged(subject: string): Promise<{ token: string; cached: boolean }> {
  let found: { token: string; cached: boolean } | undefined
  await expect
    .poll(async () => {
      const outcome = await wired.exchanger.exchange(question(subject))
      if (outcome.ok) found = { token: outcome.value.token.reveal(), cached: outcome.value.cached }
      return outcome.ok
    }, POLL)
    .toBe(true)
  if (found === undefined) throw new Error('nothing was exchanged')
  return found
}

function stateWith(status: string): State {
  const bot = { uid: { type: 'Warder::Agent', id: 'bot' }, attrs: { status }, tags: {}, parents: [] }
  const registry = applyEntities(emptyRegistry(), [bot], [])
  return {
    tenant: () => ({ ...tenantWith([issuer]), registry }),
    gatewayByKeyHash: () => undefined,
    refreshedAt: systemClock(),
    ageMilliseconds: () => 0,
    rolledBack: () => undefined,
  }
}

test('what is revoked is forgotten, and ended by a server that did not exchange it', async () => {
  const next = { revoked: vi.fn(), settled: vi.fn() }
  const watch = wired.watched(next)
  const subject = await as.token('bot', 'alice')
  const { token } = await exchanged(subject)
  expect(await exchanged(subject)).toEqual({ token, cached: true })

  const store = createAdminStore(db)
  const revoked = await store.revoke({ tenant, ...SESSION, mode: 'deny', source: 'admin', reason: 'r' })
  if (typeof revoked === 'string') throw new Error(revoked)
  const revocation: Revocation = { ...SESSION, revocation: 'r', source: 'admin', mode: 'deny', reason: 'r' }
  watch.revoked([{ tenant, revocation, version: 1, isInForce: true }])
  expect(next.revoked).toHaveBeenCalledOnce()
  expect(wired.exchanger.stats().entries).toBe(0)

  const other = await wireExchange(
    { dataDirectory: folder, secretKeyFile: undefined },
    db,
    createFaultLines((line) => lines.push(line)),
  )
  other.endTokens(stateWith('active'))
  await expect.poll(() => as.isActive(token), POLL).toBe(false)
  await other.close()
  const log = JSON.stringify(lines) + readFileSync(join(folder, 'sealing.key'), 'utf8')
  for (const secret of [subject, token]) expect(log).not.toContain(secret)
})

test('a whole reading of the state forgets everything, and is passed on', async () => {
  const next = { revoked: vi.fn(), settled: vi.fn() }
  const watch = wired.watched(next)
  await exchanged(await as.token('bot', 'alice'))
  const before = wired.exchanger.stats().entries
  watch.settled([tenant], 2, false)
  expect(wired.exchanger.stats().entries).toBe(before)
  watch.settled(undefined, 3, true)
  expect(wired.exchanger.stats().entries).toBe(0)
  expect(next.settled.mock.calls).toEqual([
    [[tenant], 2, false],
    [undefined, 3, true],
  ])
})

test('a token of an agent that is suspended is forgotten, so that it gets another one once it is resumed', async () => {
  const watch = wired.watched({ revoked: vi.fn(), settled: vi.fn() })
  await exchanged(await as.token('bot', 'alice'))
  let status = 'active'
  wired.endTokens({ ...stateWith(status), tenant: (id) => stateWith(status).tenant(id) })
  watch.settled([tenant], 4, false)
  expect(wired.exchanger.stats().entries).toBe(1)
  status = 'suspended'
  watch.settled([newTenant()], 5, false)
  expect(wired.exchanger.stats().entries).toBe(1)
  watch.settled([tenant], 6, false)
  expect(wired.exchanger.stats().entries).toBe(0)
})
