import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stepAgent } from '#admin/agents.ts'
import { createSealing } from '#admin/sealing.ts'
import { endDueTokens } from '#identity/end-tokens.ts'
import { parseIssuer } from '#identity/issuer.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createTokenExchanger } from '#identity/token-exchange.ts'
import { type EpochMilliseconds, type EpochSeconds, systemClock, toSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Dependency } from '#model/revocation.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createWriter } from '#store/audit.ts'
import { changeTenant } from '#store/changes.ts'
import { createDueTokens, keepExchangedToken } from '#store/exchanged-tokens.ts'
import { insertRevocation } from '#store/revocations.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { type ExchangeServer, startExchangeServer } from '../support/exchange-server.ts'
import { newTenant } from '../support/store-samples.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const IDP = 'https://idp.example'
const ISSUED = 1_790_000_000 as EpochSeconds
const HANGS_ON: readonly Dependency[] = [
  { kind: 'token', id: `${IDP}|jti-1` },
  { kind: 'session', id: `${IDP}|s-1` },
  { kind: 'task', id: 't-1' },
  { kind: 'subject', id: '|alice' },
  { kind: 'agent', id: 'bot' },
  { kind: 'grant', id: 'g-1' },
  { kind: 'tenant', id: 'acme' },
  { kind: 'everything', id: '*' },
]
const sealing = createSealing([new Uint8Array(32).fill(7)])

let db: TestDatabase
let as: ExchangeServer
let tenant: TenantId
beforeAll(async () => {
  db = await openTestDatabase()
  as = await startExchangeServer()
})
afterAll(async () => {
  await as.close()
  await db.close()
})
beforeEach(async () => {
  await db.owner`delete from exchanged_tokens`
  tenant = newTenant()
  await createAdminStore(db, ACTOR).addTenant(tenant)
})
afterEach(() => as.break(undefined))

async function keep(more: Partial<Parameters<typeof keepExchangedToken>[1]> = {}): Promise<void> {
  await keepExchangedToken(db, {
    tenant,
    issuer: IDP,
    sealed: 'sealed',
    dependencies: HANGS_ON,
    crossings: [],
    subjectIssuedAt: ISSUED,
    expiresAt: (toSeconds(systemClock()) + 600) as EpochSeconds,
    endsAt: undefined,
    ...more,
  })
}

async function revoke(
  target: Dependency,
  more: { issuedBefore?: EpochSeconds; tenant?: TenantId | null } = {},
) {
  const store = createAdminStore(db, ACTOR)
  return await store.revoke({ tenant, ...target, mode: 'deny', source: 'admin', reason: 'r', ...more })
}

const due = async () => (await createDueTokens(db).lease(16)).length

describe('a token is to be ended', () => {
  test.each(HANGS_ON.filter(({ kind }) => kind !== 'everything'))(
    'when the $kind that it was exchanged under is revoked',
    async (dependency) => {
      await keep()
      expect(await due()).toBe(0)
      await revoke({ ...dependency, id: `${dependency.id}-of-another` })
      expect(await due()).toBe(0)
      await revoke(dependency)
      expect(await due()).toBe(1)
    },
  )

  test('when everything is stopped, and not when another tenant revokes the same', async () => {
    await keep()
    const other = newTenant()
    await createAdminStore(db, ACTOR).addTenant(other)
    await revoke({ kind: 'agent', id: 'bot' }, { tenant: other })
    expect(await due()).toBe(0)
    const stop = await revoke({ kind: 'everything', id: '*' }, { tenant: null })
    expect(await due()).toBe(1)
    if (typeof stop !== 'string') await createAdminStore(db, ACTOR).liftRevocation(null, stop.revocation)
  })

  test.each(['before', 'after'])(
    'when the tenant that sent the agent revokes it, %s it was stored',
    async (when) => {
      const other = newTenant()
      await createAdminStore(db, ACTOR).addTenant(other)
      const [crossed, own] = [
        { crossings: [other] },
        { dependencies: [{ kind: 'task', id: 't-2' }] as const },
      ]
      if (when === 'after') await keep(crossed)
      await keep(own)
      await revoke({ kind: 'agent', id: 'bot' }, { tenant: other })
      if (when === 'before') await keep(crossed)
      await keep()
      expect(await due()).toBe(1)
    },
  )

  test.each([
    ['older', ISSUED - 1, 1],
    ['as old', ISSUED, 0],
    ['newer', ISSUED + 1, 0],
    ['of unknown age', undefined, 1],
  ])('by a revocation of older tokens, where its own token is %s: %s, %i', async (_, issuedAt, expected) => {
    await keep({ subjectIssuedAt: issuedAt as EpochSeconds | undefined })
    await revoke({ kind: 'subject', id: '|alice' }, { issuedBefore: ISSUED })
    expect(await due()).toBe(expected)
  })

  test('at once when what it hangs on was revoked before, unless that was lifted', async () => {
    const before = await revoke({ kind: 'session', id: `${IDP}|s-1` })
    await keep()
    expect(await due()).toBe(1)
    if (typeof before === 'string') throw new Error(before)
    await createAdminStore(db, ACTOR).liftRevocation(tenant, before.revocation)
    await keep()
    expect(await due()).toBe(0)
  })

  test('when the grant that it rests on ends by itself', async () => {
    const now = toSeconds(systemClock())
    await keep({ endsAt: (now + 60) as EpochSeconds })
    expect(await due()).toBe(0)
    await keep({ endsAt: (now - 1) as EpochSeconds })
    expect(await due()).toBe(1)
  })
})

describe('without a revocation a token is to be ended', () => {
  test.each(
    ['Agent bot', 'User alice', 'Blueprint crawler'].flatMap((each) => [
      [each, 'after'],
      [each, 'before'],
    ]),
  )('when %s is suspended by an import, %s it was stored', async (each, when) => {
    const [type, id] = each.split(' ')
    const put = (name: string, status: string) =>
      createAdminStore(db, ACTOR).putEntities(tenant, [
        { uid: { type: `Warder::${type}`, id: name }, attrs: { status }, tags: {}, parents: [] },
      ])
    const dependencies: readonly Dependency[] = [...HANGS_ON, { kind: 'blueprint', id: 'crawler' }]
    if (when === 'after') await keep({ dependencies })
    await put(`${id}-2`, 'suspended')
    await put(String(id), 'active')
    expect(await due()).toBe(0)
    await put(String(id), 'suspended')
    if (when === 'before') await keep({ dependencies })
    expect(await due()).toBe(1)
  })

  test.each(['suspend', 'retire'] as const)(
    'when its agent is to %s, whichever tenant has sent it',
    async (act) => {
      const store = createAdminStore(db, ACTOR)
      const home = newTenant()
      await store.addTenant(home)
      const crossings = [home]
      for (const of of [tenant, home])
        await store.putEntities(of, [
          { uid: { type: 'Warder::Agent', id: 'bot' }, attrs: { status: 'active' }, tags: {}, parents: [] },
        ])
      await keep()
      await keep({ crossings })
      const changes = await stepAgent(store, act, { tenant: home, agent: 'bot', reason: 'r' }, systemClock())
      expect([changes.ok, await due()]).toEqual([true, 1])
      await keep({ crossings })
      expect(await due()).toBe(1)
    },
  )

  test.each(['home', 'foreign'] as const)(
    'when the federation that it rests on is withdrawn by its %s',
    async (side) => {
      const other = newTenant()
      await createAdminStore(db, ACTOR).addTenant(other)
      await keep()
      const crossed = {
        crossings: [other],
        dependencies: [...HANGS_ON, { kind: 'tenant', id: other } as const],
      }
      await keep(crossed)
      const [store, id] = [createAdminStore(db, ACTOR), crypto.randomUUID()]
      const federation = { id, home: tenant, foreign: other, record: '{}' }
      await store.proposeFederation(tenant, federation, 'signature')
      expect(await due()).toBe(0)
      await store.withdrawFederation(side === 'home' ? tenant : other, id, 'r')
      expect(await due()).toBe(1)
      await keep(crossed)
      expect(await due()).toBe(1)
    },
  )
})

test('a token that is stored while the revocation is under way is ended too', async () => {
  const writer = createWriter(db.owner, ACTOR)
  let keeping: Promise<void> | undefined
  await changeTenant(writer, tenant, async (transaction, version) => {
    const what = { tenant, kind: 'agent', id: 'bot', mode: 'deny', source: 'admin', reason: 'r' } as const
    await insertRevocation(transaction, writer, what, version)
    keeping = keep()
    // It waits for this transaction; what it did not wait for would be stored by then.
    await transaction`select pg_sleep(0.2)`
  })
  await keeping
  expect(await due()).toBe(1)
})

test('of two servers one gets a token, and the other one after a while', async () => {
  await keep()
  await revoke({ kind: 'agent', id: 'bot' })
  const leases = await Promise.all(Array.from({ length: 4 }, () => due()))
  expect(leases.toSorted()).toEqual([0, 0, 0, 1])
  await db.owner`update exchanged_tokens set due_at = now()`
  expect(await due()).toBe(1)
})

test('a token that is over is ended by nobody', async () => {
  await keep({ expiresAt: (toSeconds(systemClock()) - 1) as EpochSeconds })
  await revoke({ kind: 'agent', id: 'bot' })
  expect(await due()).toBe(0)
})

let faults: string[] = []
beforeEach(() => {
  faults = []
})

function registered(): Issuer {
  const parsed = parseIssuer(as.file())
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  return sealing.sealIssuer(tenant, parsed.value)
}

/** Exchanges a token as a server does; gives both. */
async function exchanged(): Promise<{ readonly subject: string; readonly token: string }> {
  const issuer = registered()
  if (issuer.tokenExchange === undefined) throw new Error('no exchange')
  const exchanger = createTokenExchanger({
    send: sendOutbound,
    openSecret: (of, each) => sealing.openExchangeSecret(of, each),
    keep: async ({ token, ...kept }) =>
      await keep({ ...kept, sealed: sealing.sealToken(tenant, kept.issuer, token.reveal()) }),
    onFault: (_, cause) => faults.push(cause),
    millisecondsMax: 30_000,
  })
  const subject = await as.token('bot', 'alice')
  const now = systemClock()
  const outcome = await exchanger.exchange({
    ...{ tenant, issuer, exchange: issuer.tokenExchange, audience: 'https://api.example', now },
    subject: new Hidden(subject),
    subjectExpiresAt: (toSeconds(now) + 300) as EpochSeconds,
    subjectIssuedAt: ISSUED,
    dependencies: HANGS_ON,
    crossings: [],
    endsAt: undefined,
  })
  if (!outcome.ok) throw new Error(`${outcome.failure.code} ${faults.join()}`)
  return { subject, token: outcome.value.token.reveal() }
}

const end = (issuers: readonly Issuer[] = [registered()]) =>
  endDueTokens(
    {
      due: createDueTokens(db),
      send: sendOutbound,
      openSecret: (of, each) => sealing.openExchangeSecret(of, each),
      open: ({ sealed, issuer }) => sealing.openToken(tenant, issuer, sealed),
      findIssuer: (_, name) => issuers.find(({ issuer }) => issuer === name),
      onFault: (_, cause) => faults.push(cause),
    },
    systemClock() as EpochMilliseconds,
  )
const rows = async () => Number((await db.owner`select 1 from exchanged_tokens`).count)

describe('with a real server', () => {
  test('an exchanged token lies sealed in the database, and ends at its server with its session', async () => {
    const { subject, token } = await exchanged()
    const stored = JSON.stringify(await db.owner`select * from exchanged_tokens`)
    expect(stored).toContain('session ')
    for (const secret of [subject, token]) expect(stored).not.toContain(secret)
    await end()
    expect([await as.isActive(token), await rows()]).toEqual([true, 1])
    await revoke({ kind: 'session', id: `${IDP}|s-1` })
    await end()
    expect([await as.isActive(token), await rows(), faults]).toEqual([false, 0, []])
  })

  test('a server that fails is asked again later, and what it is told is in no fault', async () => {
    const { token } = await exchanged()
    await revoke({ kind: 'task', id: 't-1' })
    as.break((response) => response.writeHead(503).end(token))
    expect(await end()).toBe(1)
    const [row] =
      await db.owner`select due_at > created_at + interval '1 second' as later from exchanged_tokens`
    expect(row).toEqual({ later: true })
    expect([faults.length, await rows(), faults.join().includes(token)]).toEqual([1, 1, false])
    as.break(undefined)
    await db.owner`update exchanged_tokens set due_at = now()`
    await end()
    expect([await as.isActive(token), await rows()]).toEqual([false, 0])
  })

  test('where the issuer or the key is gone, the token is kept for a server that has them', async () => {
    const { token } = await exchanged()
    await revoke({ kind: 'agent', id: 'bot' })
    await end([])
    await db.owner`update exchanged_tokens set due_at = now(), sealed = 'v1.x.y.z'`
    await end()
    expect(faults).toEqual([
      'the issuer has no `token_exchange` any more',
      'the token can not be opened with the keys of this server',
    ])
    expect([await as.isActive(token), await rows()]).toEqual([true, 1])
  })
})
