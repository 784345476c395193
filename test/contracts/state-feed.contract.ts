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

const SECOND = 1_000

/** Waits until `condition` holds; fails after a second, the bound that every change has. */
export async function withinASecond(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + SECOND
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('not within a second')
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
    await withinASecond(() => state.tenant(id) !== undefined)
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

  test('an activated release acts within a second, whole', async () => {
    const id = await knownTenant()
    const first = await activate(id, 'first', 450)
    await withinASecond(() => state.tenant(id)?.release?.id === first)
    expect(state.tenant(id)?.release?.policyCount).toBe(450)
    expect(state.tenant(id)?.release?.policy(449).id).toBe('first-449')
    const second = await activate(id, 'second')
    await withinASecond(() => state.tenant(id)?.release?.id === second)
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
    await withinASecond(() => state.tenant(id)?.registry.size === 1)
    const held = state.tenant(id)
    await store.putEntities(id, [agent('a', { status: 'suspended' }), agent('b')])
    await withinASecond(() => state.tenant(id)?.registry.size === 2)
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
    await withinASecond(() => state.tenant(id)?.registry.size === 700)
    await store.removeEntities(id, [agent('a3').uid, agent('a4').uid])
    await store.putEntities(id, [agent('a4', { back: true })])
    await withinASecond(() => state.tenant(id)?.registry.size === 699)
    expect(state.tenant(id)?.registry.find(agent('a3').uid)).toBeUndefined()
    expect(state.tenant(id)?.registry.find(agent('a4').uid)?.attrs).toEqual({ back: true })
  })

  test('a gateway key acts within a second of its registration, and not one second after its revocation', async () => {
    const id = await knownTenant()
    const hash = newHash()
    const gateway = { name: 'edge', tenant: id, userOnly: true, obligations: null, keyHint: 'wk' }
    await store.addGateway({ ...gateway, asserts: ['identity'], keyHash: hash })
    await withinASecond(() => state.gatewayByKeyHash(hash) !== undefined)
    expect(state.gatewayByKeyHash(hash)).toMatchObject({
      name: 'edge',
      tenant: id,
      asserts: new Set(['identity']),
      userOnly: true,
      obligations: undefined,
    })
    await store.revokeGateway(id, 'edge')
    await withinASecond(() => state.gatewayByKeyHash(hash) === undefined)
  })

  test('a rotated key ends at its time without any further change', async () => {
    const id = await knownTenant()
    const [old, fresh] = [newHash(), newHash()]
    const gateway = { name: 'edge', tenant: id, asserts: null, userOnly: false, obligations: null }
    await store.addGateway({ ...gateway, keyHash: old, keyHint: 'wk' })
    await store.rotateGateway(id, 'edge', fresh, 'wk', (Date.now() + 400) as EpochMilliseconds)
    await withinASecond(() => state.gatewayByKeyHash(fresh) !== undefined)
    expect(state.gatewayByKeyHash(old)).toBeDefined()
    await withinASecond(() => state.gatewayByKeyHash(old) === undefined)
    expect(state.gatewayByKeyHash(fresh)).toBeDefined()
  })

  test('a broken release never replaces a good one, and does not hold back a revocation', async () => {
    const id = await knownTenant()
    const hash = newHash()
    const gateway = { name: 'edge', tenant: id, asserts: null, userOnly: false, obligations: null }
    await store.addGateway({ ...gateway, keyHash: hash, keyHint: 'wk' })
    const good = await activate(id, 'good')
    await withinASecond(
      () => state.tenant(id)?.release?.id === good && state.gatewayByKeyHash(hash) !== undefined,
    )
    const bad = release('bad')
    subject.breakRelease(bad.id)
    const faultsBefore = subject.faults.length
    await activate(id, 'bad')
    await withinASecond(() => subject.faults.length > faultsBefore)
    expect(String(subject.faults.at(-1))).toContain(
      `release \`${bad.id}\` of tenant \`${id}\` can't be loaded`,
    )
    await store.revokeGateway(id, 'edge')
    await withinASecond(() => state.gatewayByKeyHash(hash) === undefined)
    expect(state.tenant(id)?.release?.id).toBe(good)
    subject.breakRelease(undefined)
    await store.putEntities(id, [agent('a')])
    await withinASecond(() => state.tenant(id)?.release?.id === bad.id)
  })

  test('a listener that was cut off comes back; nothing is missed meanwhile', async () => {
    const id = await knownTenant()
    await subject.cutListener()
    const during = await activate(id, 'during')
    await withinASecond(() => state.tenant(id)?.release?.id === during)
    const after = await activate(id, 'after')
    await withinASecond(() => state.tenant(id)?.release?.id === after)
  })
}
