import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AdminStore } from '#admin/ports.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { State } from '#model/state.ts'
import { agent, newHash, newTenant, release } from '../support/store-samples.ts'

/** What an implementation brings to the suite. */
export interface StateFeedSubject {
  readonly store: AdminStore
  readonly state: State
  /** Everything that the feed reported as wrong so far. */
  readonly faults: readonly unknown[]
  /** Makes `assembleRelease` fail for this release until it is called with undefined. */
  breakRelease(release: ReleaseId | undefined): void
  /** Cuts the connection that listens. */
  cutListener(): Promise<void>
  close(): Promise<void>
}

// Far below the poll of the feeds that must hear of a change at once. How fast that is, the drills measure.
const PATIENCE_MILLISECONDS = 30_000

/** Waits until `condition` holds. */
export async function soon(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it does not come to hold')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** The guarantees of a live `State`, for every implementation. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
export function stateFeedContract(open: () => Promise<StateFeedSubject>): void {
  let subject: StateFeedSubject
  let store: AdminStore
  let state: State
  beforeAll(async () => {
    subject = await open()
    ;({ store, state } = subject)
  })
  afterAll(() => subject.close())

  async function knownTenant(): Promise<TenantId> {
    const id = newTenant()
    await store.addTenant(id)
    await soon(() => state.tenant(id) !== undefined)
    return id
  }

  async function activate(id: TenantId, seed: string, count = 3): Promise<ReleaseId> {
    const content = release(seed, count)
    await store.pushRelease(id, content)
    await store.activateRelease(id, content.id)
    return content.id
  }

  test('an unknown tenant and an unknown key give nothing', () => {
    expect(state.tenant(newTenant())).toBeUndefined()
    expect(state.gatewayByKeyHash(newHash())).toBeUndefined()
  })

  test('an activated release acts, whole', async () => {
    const id = await knownTenant()
    const first = await activate(id, 'first', 450)
    await soon(() => state.tenant(id)?.release?.id === first)
    expect(state.tenant(id)?.release?.policyCount).toBe(450)
    expect(state.tenant(id)?.release?.policy(449).id).toBe('first-449')
    const second = await activate(id, 'second')
    await soon(() => state.tenant(id)?.release?.id === second)
  })

  test('a pushed release that was not activated changes nothing', async () => {
    const id = await knownTenant()
    const before = state.tenant(id)
    await store.pushRelease(id, release('waiting'))
    const other = await knownTenant()
    expect(other).not.toBe(id)
    expect(state.tenant(id)).toBe(before)
  })

  test('a state that a decision holds never changes under it', async () => {
    const id = await knownTenant()
    await store.putEntities(id, [agent('a', { status: 'active' })])
    await soon(() => state.tenant(id)?.registry.size === 1)
    const held = state.tenant(id)
    await store.putEntities(id, [agent('a', { status: 'suspended' }), agent('b')])
    await soon(() => state.tenant(id)?.registry.size === 2)
    expect(held?.registry.find(agent('a').uid)?.attrs).toEqual({ status: 'active' })
    expect(held?.registry.size).toBe(1)
    expect(state.tenant(id)?.registry.find(agent('a').uid)?.attrs).toEqual({ status: 'suspended' })
    expect(state.tenant(id)?.version).toBeGreaterThan(held?.version ?? 0)
  })

  test('entities are inserted, replaced and removed one by one as the database has them', async () => {
    const id = await knownTenant()
    await store.putEntities(
      id,
      Array.from({ length: 700 }, (_, i) => agent(`a${i}`)),
    )
    await soon(() => state.tenant(id)?.registry.size === 700)
    await store.removeEntities(id, [agent('a3').uid, agent('a4').uid])
    await store.putEntities(id, [agent('a4', { back: true })])
    await soon(() => state.tenant(id)?.registry.size === 699)
    expect(state.tenant(id)?.registry.find(agent('a3').uid)).toBeUndefined()
    expect(state.tenant(id)?.registry.find(agent('a4').uid)?.attrs).toEqual({ back: true })
  })

  test('a gateway key acts once it is registered, and no more once it is revoked', async () => {
    const id = await knownTenant()
    const hash = newHash()
    const gateway = { name: 'edge', tenant: id, userOnly: true, obligations: null, keyHint: 'wk' }
    await store.addGateway({ ...gateway, asserts: ['identity'], keyHash: hash })
    await soon(() => state.gatewayByKeyHash(hash) !== undefined)
    expect(state.gatewayByKeyHash(hash)).toMatchObject({
      name: 'edge',
      tenant: id,
      asserts: new Set(['identity']),
      userOnly: true,
      obligations: undefined,
    })
    await store.revokeGateway(id, 'edge')
    await soon(() => state.gatewayByKeyHash(hash) === undefined)
  })

  test('an API key acts in its tenant alone, and is on the deny list when it was revoked', async () => {
    const [id, other] = [await knownTenant(), await knownTenant()]
    await store.putEntities(id, [agent('bot', { status: 'active' })])
    const hash = newHash()
    const expiresAt = (Date.now() + 600_000) as EpochMilliseconds
    const added = await store.addApiKey(id, {
      name: 'k',
      agent: 'bot',
      boundTo: undefined,
      hash,
      hint: 'wak_',
      expiresAt,
    })
    if (typeof added === 'string') throw new Error(added)
    await soon(() => state.tenant(id)?.apiKeys?.get(hash)?.agent === 'bot')
    expect(state.tenant(other)?.apiKeys?.get(hash)).toBeUndefined()
    await store.revokeApiKey(id, 'k', 'leaked')
    const key = { kind: 'token', id: `urn:warder:api-key|${added.id}` } as const
    const now = Date.now() as EpochMilliseconds
    await soon(() => state.tenant(id)?.revocations?.find([key], now, undefined) !== undefined)
    await soon(() => state.tenant(id)?.apiKeys?.size === 0)
  })

  test('a rotated key counts until its time and ends then, without any further change', async () => {
    const id = await knownTenant()
    const [first, second, third] = [newHash(), newHash(), newHash()]
    const gateway = { name: 'edge', tenant: id, asserts: null, userOnly: false, obligations: null }
    await store.addGateway({ ...gateway, keyHash: first, keyHint: 'wk' })
    await store.rotateGateway(id, 'edge', second, 'wk', (Date.now() + 3_600_000) as EpochMilliseconds)
    await soon(() => state.gatewayByKeyHash(second) !== undefined)
    expect(state.gatewayByKeyHash(first)).toBeDefined()
    await store.rotateGateway(id, 'edge', third, 'wk', (Date.now() + 400) as EpochMilliseconds)
    await soon(() => state.gatewayByKeyHash(third) !== undefined)
    await soon(() => [first, second].every((hash) => state.gatewayByKeyHash(hash) === undefined))
    expect(state.gatewayByKeyHash(third)).toBeDefined()
  })

  test('a broken release never replaces a good one, and does not hold back a revocation', async () => {
    const id = await knownTenant()
    const hash = newHash()
    const gateway = { name: 'edge', tenant: id, asserts: null, userOnly: false, obligations: null }
    await store.addGateway({ ...gateway, keyHash: hash, keyHint: 'wk' })
    const good = await activate(id, 'good')
    await soon(() => state.tenant(id)?.release?.id === good && state.gatewayByKeyHash(hash) !== undefined)
    const bad = release('bad')
    subject.breakRelease(bad.id)
    const faultsBefore = subject.faults.length
    await activate(id, 'bad')
    await soon(() => subject.faults.length > faultsBefore)
    expect(String(subject.faults.at(-1))).toContain(
      `release \`${bad.id}\` of tenant \`${id}\` can't be loaded`,
    )
    await store.revokeGateway(id, 'edge')
    await soon(() => state.gatewayByKeyHash(hash) === undefined)
    expect(state.tenant(id)?.release?.id).toBe(good)
    subject.breakRelease(undefined)
    await store.putEntities(id, [agent('a')])
    await soon(() => state.tenant(id)?.release?.id === bad.id)
  })

  test('a listener that was cut off comes back; nothing is missed meanwhile', async () => {
    const id = await knownTenant()
    await subject.cutListener()
    const during = await activate(id, 'during')
    await soon(() => state.tenant(id)?.release?.id === during)
    const after = await activate(id, 'after')
    await soon(() => state.tenant(id)?.release?.id === after)
  })
}
