import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AdminStore, NewAdminToken, ReadPolicies } from '#admin/ports.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { StoredEntity } from '#model/registry.ts'
import { uidKey } from '#model/value.ts'
import { agent, newHash, newTenant, release } from '../support/store-samples.ts'

/** What an implementation brings to the suite. */
export interface AdminStoreSubject {
  readonly store: AdminStore
  readonly readPolicies: ReadPolicies
  readonly entitiesAt: (tenant: TenantId, stateVersion: number) => AsyncIterable<StoredEntity[]>
  close(): Promise<void>
}

const ISSUER: Issuer = {
  issuer: 'https://issuer.example',
  audience: ['warder'],
  algorithms: ['ES256'],
  types: ['at+jwt'],
  keys: { kind: 'remote', url: 'https://issuer.example/jwks' },
  claims: { tenant: undefined, agent: 'azp', user: 'sub' },
  clockToleranceSeconds: 30,
  lifetimeSecondsMax: 3600,
}

async function collect<T>(batches: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  const all: T[] = []
  for await (const batch of batches) all.push(...batch)
  return all
}

function isStored(put: Awaited<ReturnType<AdminStore['putEntities']>>): put is { readonly version: number } {
  return put !== 'tenant_unknown' && 'version' in put
}

/** The guarantees of `AdminStore`, for every implementation. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
export function adminStoreContract(open: () => Promise<AdminStoreSubject>): void {
  let subject: AdminStoreSubject
  let store: AdminStore
  beforeAll(async () => {
    subject = await open()
    store = subject.store
  })
  afterAll(() => subject.close())

  async function tenant(): Promise<TenantId> {
    const id = newTenant()
    await store.addTenant(id)
    return id
  }

  const newGateway = (id: TenantId, name: string) => ({
    name,
    tenant: id,
    asserts: null,
    userOnly: false,
    obligations: null,
    keyHash: newHash(),
    keyHint: 'wk_ab',
  })

  describe('tenants', () => {
    test('a tenant is added once', async () => {
      const id = newTenant()
      expect(await store.addTenant(id)).toBe('added')
      expect(await store.addTenant(id)).toBe('exists')
    })

    test('two at once add it once', async () => {
      const id = newTenant()
      const outcomes = await Promise.all([store.addTenant(id), store.addTenant(id), store.addTenant(id)])
      expect(outcomes.toSorted()).toEqual(['added', 'exists', 'exists'])
    })

    test('pages list every tenant exactly once', async () => {
      const added = await Promise.all([tenant(), tenant(), tenant()])
      const seen: string[] = []
      for (let after: string | undefined; ; ) {
        const page = await store.listTenants(after === undefined ? { limit: 2 } : { limit: 2, after })
        seen.push(...page.map((row) => row.tenant))
        after = page.at(-1)?.tenant
        if (page.length < 2) break
      }
      expect(seen).toEqual(expect.arrayContaining(added))
      expect(new Set(seen).size).toBe(seen.length)
    })

    test('a page outside 1 to 1,000 is refused', async () => {
      await expect(store.listTenants({ limit: 0 })).rejects.toThrow(
        'the limit of a page must be between 1 and 1,000',
      )
    })
  })

  // biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
  describe('gateways', () => {
    test('a name is taken within its tenant, and free in another', async () => {
      const [first, second] = [await tenant(), await tenant()]
      expect(await store.addGateway(newGateway(first, 'edge'))).toMatch(/^[0-9a-f-]{36}$/)
      expect(await store.addGateway(newGateway(first, 'edge'))).toBe('exists')
      expect(await store.addGateway(newGateway(first, 'Edge'))).toMatch(/^[0-9a-f-]{36}$/)
      expect(await store.addGateway(newGateway(second, 'edge'))).toMatch(/^[0-9a-f-]{36}$/)
      expect(await store.addGateway(newGateway(newTenant(), 'edge'))).toBe('tenant_unknown')
    })

    test('a key, or a certificate, is that of one gateway for ever', async () => {
      const id = await tenant()
      const certified = { ...newGateway(id, 'certified'), keyHash: `x509-sha256:${newHash()}` }
      expect(await store.addGateway(certified)).toMatch(/^[0-9a-f-]{36}$/)
      await store.revokeGateway(id, 'certified')
      expect(await store.addGateway({ ...certified, name: 'second' })).toBe('key_taken')
      expect((await store.listGateways(id, { limit: 10 })).map(({ name }) => name)).toEqual(['certified'])
    })

    test('an added gateway is listed as it was given', async () => {
      const id = await tenant()
      const gateway = (await store.addGateway({
        ...newGateway(id, 'edge'),
        asserts: ['identity', 'context'],
        userOnly: true,
        obligations: ['step_up'],
      })) as GatewayId
      expect(await store.listGateways(id, { limit: 10 })).toEqual([
        {
          id: gateway,
          name: 'edge',
          tenant: id,
          asserts: ['identity', 'context'],
          user_only: true,
          obligations: ['step_up'],
          settings: null,
          key_hints: ['wk_ab'],
          created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          revoked_at: null,
        },
      ])
    })

    test('settings change member by member, null removes, and each change is in the audit', async () => {
      const id = await tenant()
      const settings = { externalUrl: 'https://a.example' }
      const gateway = await store.addGateway({ ...newGateway(id, 'edge'), settings })
      const more = { certificateSource: 'xfcc', audience: ['x'] } as const
      expect(await store.setGateway(id, 'edge', more)).toEqual({
        gateway,
        settings: { ...settings, ...more },
      })
      expect((await store.listGateways(id, { limit: 1 }))[0]?.settings).toEqual({ ...settings, ...more })
      await store.setGateway(id, 'edge', { externalUrl: null })
      await store.setGateway(id, 'edge', { externalUrl: null })
      const rows = await store.listAudit({ tenants: [id] }, { limit: 10 })
      expect(rows.map(({ after }) => after).slice(0, 2)).toEqual([
        { settings: more },
        { settings: { ...settings, ...more } },
      ])
      expect(rows[0]?.before).toEqual({ settings: { ...settings, ...more } })
      await store.setGateway(id, 'edge', { certificateSource: null, audience: null })
      expect((await store.listGateways(id, { limit: 1 }))[0]?.settings).toBeNull()
      await store.revokeGateway(id, 'edge')
      expect(await store.setGateway(id, 'edge', more)).toBe('unknown')
      expect(await store.setGateway(newTenant(), 'edge', more)).toBe('unknown')
    })

    test('rotation keeps the old key until its end, and shows both hints', async () => {
      const id = await tenant()
      await store.addGateway(newGateway(id, 'edge'))
      const soon = (Date.now() + 60_000) as EpochMilliseconds
      expect(await store.rotateGateway(id, 'edge', newHash(), 'wk_cd', soon)).toBe('rotated')
      const [both] = await store.listGateways(id, { limit: 1 })
      expect(both?.key_hints).toEqual(['wk_ab', 'wk_cd'])
      await store.rotateGateway(id, 'edge', newHash(), 'wk_ef', (Date.now() - 1) as EpochMilliseconds)
      const [one] = await store.listGateways(id, { limit: 1 })
      expect(one?.key_hints).toEqual(['wk_ef'])
      expect(await store.rotateGateway(id, 'other', newHash(), 'x', soon)).toBe('unknown')
    })

    test('a revoked gateway has no keys, keeps its name, and is revoked once', async () => {
      const id = await tenant()
      await store.addGateway(newGateway(id, 'edge'))
      expect(await store.revokeGateway(id, 'edge')).toBe('revoked')
      expect(await store.revokeGateway(id, 'edge')).toBe('unknown')
      expect(await store.addGateway(newGateway(id, 'edge'))).toBe('exists')
      const [listed] = await store.listGateways(id, { limit: 1 })
      expect(listed).toMatchObject({ key_hints: [], revoked_at: expect.any(String) })
    })

    test("another tenant's gateway can't be seen, rotated or revoked", async () => {
      const [mine, other] = [await tenant(), await tenant()]
      await store.addGateway(newGateway(other, 'edge'))
      expect(await store.listGateways(mine, { limit: 10 })).toEqual([])
      expect(await store.revokeGateway(mine, 'edge')).toBe('unknown')
      expect(await store.rotateGateway(mine, 'edge', newHash(), 'x', 0 as EpochMilliseconds)).toBe('unknown')
    })

    test('over all tenants the pages go by tenant and name', async () => {
      const id = await tenant()
      for (const name of ['a', 'b/c', 'd']) await store.addGateway(newGateway(id, name))
      const rest = await store.listGateways(undefined, { limit: 2, after: `${id}/a` })
      expect(rest.map((row) => row.name)).toEqual(['b/c', 'd'])
    })
  })

  describe('issuers', () => {
    test('an issuer comes back as it was stored, and is replaced by its name', async () => {
      const id = await tenant()
      expect(await store.putIssuer(id, ISSUER)).toBe('stored')
      expect(await store.putIssuer(id, { ...ISSUER, audience: ['other'] })).toBe('stored')
      expect(await store.listIssuers(id, { limit: 10 })).toStrictEqual([{ ...ISSUER, audience: ['other'] }])
      expect(await store.listIssuers(await tenant(), { limit: 10 })).toEqual([])
      expect(await store.putIssuer(newTenant(), ISSUER)).toBe('tenant_unknown')
    })
  })

  // biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
  describe('entities', () => {
    test('ids are case-sensitive and may hold any text', async () => {
      const id = await tenant()
      const given = ['a', 'A', 'ä', "o'hara", '"::"', 'x y', '\u{1f600}'].map((name) => agent(name, { name }))
      await store.putEntities(id, given)
      const listed = await store.listEntities(id, undefined, { limit: 100 })
      expect(new Map(listed.map((entity) => [entity.uid.id, entity]))).toEqual(
        new Map(given.map((entity) => [entity.uid.id, entity])),
      )
    })

    test('every past version can be read again', async () => {
      const id = await tenant()
      const first = await store.putEntities(id, [agent('a', { n: 1 }), agent('b', { n: 1 })])
      const second = await store.putEntities(id, [agent('a', { n: 2 })])
      await store.removeEntities(id, [agent('b').uid])
      if (!isStored(first) || !isStored(second)) throw new Error('not stored')
      expect(await collect(subject.entitiesAt(id, first.version))).toEqual([
        agent('a', { n: 1 }),
        agent('b', { n: 1 }),
      ])
      expect(await collect(subject.entitiesAt(id, second.version))).toEqual([
        agent('a', { n: 2 }),
        agent('b', { n: 1 }),
      ])
      expect(await collect(subject.entitiesAt(id, second.version + 1))).toEqual([agent('a', { n: 2 })])
      expect(await collect(subject.entitiesAt(id, first.version - 1))).toEqual([])
    })

    test('of two entities with one uid the last counts, and an unknown tenant is named', async () => {
      const id = await tenant()
      await store.putEntities(id, [agent('a', { n: 1 }), agent('a', { n: 2 })])
      expect(await store.listEntities(id, 'Warder::Agent', { limit: 5 })).toEqual([agent('a', { n: 2 })])
      expect(await store.putEntities(newTenant(), [agent('a')])).toBe('tenant_unknown')
    })

    test('10,000 entities are stored with progress, and paged without a hole', async () => {
      const id = await tenant()
      const done: number[] = []
      const given = Array.from({ length: 10_000 }, (_, i) => agent(`agent-${i}`))
      await store.putEntities(id, given, (count) => done.push(count))
      expect(done.at(-1)).toBe(10_000)
      let count = 0
      for (let after: string | undefined; ; ) {
        const page = await store.listEntities(
          id,
          undefined,
          after === undefined ? { limit: 1_000 } : { limit: 1_000, after },
        )
        count += page.length
        const last = page.at(-1)
        if (last === undefined) break
        after = uidKey(last.uid)
      }
      expect(count).toBe(10_000)
    })

    test('two writers at once leave one current version each, with versions of their own', async () => {
      const id = await tenant()
      const puts = await Promise.all(
        Array.from({ length: 6 }, (_, n) => store.putEntities(id, [agent('a', { n })])),
      )
      const versions = puts.map((put) => (isStored(put) ? put.version : -1))
      expect(new Set(versions).size).toBe(6)
      const newest = versions.indexOf(Math.max(...versions))
      expect(await store.listEntities(id, undefined, { limit: 10 })).toEqual([agent('a', { n: newest })])
    })

    test("tenants don't see each other's entities", async () => {
      const [mine, other] = [await tenant(), await tenant()]
      await store.putEntities(other, [agent('a')])
      expect(await store.removeEntities(mine, [agent('a').uid])).toBe(0)
      expect(await store.listEntities(mine, undefined, { limit: 10 })).toEqual([])
      expect(await store.listEntities(other, undefined, { limit: 10 })).toHaveLength(1)
    })
  })

  describe('releases', () => {
    test('a pushed release comes back whole, and pushing it again changes nothing', async () => {
      const id = await tenant()
      const content = release('r')
      expect(await store.pushRelease(id, content)).toBe('stored')
      expect(await store.pushRelease(id, content)).toBe('exists')
      expect(await store.pushRelease(newTenant(), content)).toBe('tenant_unknown')
      const { schemaText, sources, policies, ...header } = content
      expect(await store.findRelease(id, content.id)).toStrictEqual({ header, sources, schemaText })
      // Members that are undefined don't survive JSON, and mean the same when they are absent.
      expect(await collect(subject.readPolicies(id, content.id))).toEqual(policies)
    })

    test('a release without a schema comes back without one', async () => {
      const id = await tenant()
      const content = { ...release('plain'), schema: undefined, schemaText: undefined, validated: false }
      await store.pushRelease(id, content)
      const found = await store.findRelease(id, content.id)
      expect(found?.header).toMatchObject({ schema: undefined, validated: false })
      expect(found?.schemaText).toBeUndefined()
    })

    test('the same push by two at once is stored once', async () => {
      const id = await tenant()
      const content = release('twice', 600)
      const outcomes = await Promise.all([store.pushRelease(id, content), store.pushRelease(id, content)])
      expect(outcomes.toSorted()).toEqual(['exists', 'stored'])
      expect(await collect(subject.readPolicies(id, content.id))).toHaveLength(600)
    })

    test('exactly one release is active, and only a stored one of the same tenant can be', async () => {
      const [mine, other] = [await tenant(), await tenant()]
      const [first, second] = [release('one'), release('two')]
      await store.pushRelease(mine, first)
      await store.pushRelease(mine, second)
      expect(await store.findRelease(mine, 'active')).toBeUndefined()
      for (const content of [first, second, first]) {
        expect(await store.activateRelease(mine, content.id)).toBe('activated')
        expect((await store.findRelease(mine, 'active'))?.header.id).toBe(content.id)
      }
      const listed = await store.listReleases(mine, { limit: 10 })
      expect(listed.filter((row) => row.active).map((row) => row.release)).toEqual([first.id])
      expect(listed.map((row) => row.release)).toEqual([second.id, first.id])
      expect(await store.activateRelease(other, first.id)).toBe('unknown')
      expect(await store.findRelease(other, first.id)).toBeUndefined()
    })

    test('going back makes the release active that was so before', async () => {
      const id = await tenant()
      const [first, second] = [release('one'), release('two')]
      for (const content of [first, second]) await store.pushRelease(id, content)
      expect(await store.rollbackRelease(id)).toBe('no_previous')
      await store.activateRelease(id, first.id)
      expect(await store.rollbackRelease(id)).toBe('no_previous')
      await store.activateRelease(id, second.id)
      expect(await store.rollbackRelease(id)).toEqual({ release: first.id })
      expect((await store.findRelease(id, 'active'))?.header.id).toBe(first.id)
      const [row] = await store.listAudit({ tenants: [id] }, { limit: 1 })
      expect([row?.before, row?.after]).toEqual([{ active: second.id }, { active: first.id }])
    })

    test('10,000 policies are pushed in a minute at most and read in ordinal order, in small batches', async () => {
      const id = await tenant()
      const content = release('large', 10_000)
      const started = performance.now()
      await store.pushRelease(id, content)
      expect(performance.now() - started).toBeLessThan(60_000)
      const ids: string[] = []
      for await (const batch of subject.readPolicies(id, content.id)) {
        expect(batch.length).toBeLessThanOrEqual(200)
        ids.push(...batch.map((policy) => policy.id))
      }
      expect(ids).toEqual(content.policies.map((policy) => policy.id))
    })
  })

  const newToken = (tenants: readonly TenantId[] | null = null, changed: Partial<NewAdminToken> = {}) => ({
    name: `t-${newHash().slice(0, 12)}`,
    hash: newHash(),
    hint: 'wat_abcdef',
    role: 'viewer' as const,
    tenants,
    expiresAt: null,
    ...changed,
  })

  describe('admin tokens', () => {
    test('a token is found by its hash alone, until it is revoked', async () => {
      const token = newToken()
      expect(await store.findAdminToken(token.hash)).toBeUndefined()
      expect(await store.addAdminToken(token)).toBe('added')
      expect(await store.findAdminToken(token.hash)).toEqual({
        name: token.name,
        role: 'viewer',
        tenants: null,
      })
      expect(await store.findAdminToken(token.name)).toBeUndefined()
      expect(await store.revokeAdminToken(token.name, null)).toBe('revoked')
      expect(await store.findAdminToken(token.hash)).toBeUndefined()
      expect(await store.revokeAdminToken(token.name, null)).toBe('unknown')
      expect(await store.addAdminToken(newToken(null, { name: token.name }))).toBe('exists')
    })

    test('a token past its end is not found', async () => {
      const ended = newToken(null, { expiresAt: (Date.now() - 1000) as EpochMilliseconds })
      await store.addAdminToken(ended)
      expect(await store.findAdminToken(ended.hash)).toBeUndefined()
    })

    test('who sees some tenants sees and ends only tokens that see no more', async () => {
      const [a, b] = [await tenant(), await tenant()]
      const [all, one, both] = [newToken(), newToken([a]), newToken([a, b])]
      for (const token of [all, one, both]) await store.addAdminToken(token)
      const names = async (within: readonly TenantId[]) =>
        (await store.listAdminTokens(within, { limit: 100 })).map(({ name }) => name)
      expect(await names([a])).toEqual([one.name])
      expect((await names([a, b])).toSorted()).toEqual([one.name, both.name].toSorted())
      expect(await names([])).toEqual([])
      expect(await store.revokeAdminToken(both.name, [a])).toBe('unknown')
      expect(await store.revokeAdminToken(all.name, [a, b])).toBe('unknown')
      expect(await store.revokeAdminToken(one.name, [a])).toBe('revoked')
    })
  })

  describe('the audit', () => {
    const actor = { actor: 'token:eve', role: 'operator', route: 'POST /v1/x', requestId: 'r-1' }

    test('a change is recorded with who, what was before and what is after', async () => {
      const id = await tenant()
      await store.by(actor).putIssuer(id, ISSUER)
      await store.by(actor).removeIssuer(id, ISSUER.issuer)
      const { claims, ...rest } = ISSUER
      const record = { ...rest, claims: { agent: claims.agent, user: claims.user } }
      const common = {
        ...{ sequence: expect.any(Number), at: expect.any(String) },
        ...{ actor: 'token:eve', role: 'operator', route: 'POST /v1/x', tenant: id },
        ...{ target: ISSUER.issuer, outcome: 'changed', request_id: 'r-1' },
      }
      expect(await store.listAudit({ tenants: [id] }, { limit: 2 })).toEqual([
        { ...common, before: record, after: null },
        { ...common, before: null, after: record },
      ])
    })

    test('what changes nothing leaves no row of its own, and can be recorded as an attempt', async () => {
      const id = await tenant()
      await store.by(actor).revokeGateway(id, 'none')
      await store.by(actor).recordAttempt({ tenant: id, target: 'none', outcome: 'gateway.unknown' })
      const rows = await store.listAudit({ tenants: [id] }, { limit: 10 })
      expect(rows.map(({ actor: who, outcome }) => [who, outcome])).toEqual([
        ['token:eve', 'gateway.unknown'],
        ['system', 'changed'],
      ])
    })

    test('no secret reaches it', async () => {
      const id = await tenant()
      const key = `wgk_${'a'.repeat(43)}`
      await store.by(actor).recordAttempt({ tenant: id, target: `gateways/${key}`, outcome: 'x' })
      const [row] = await store.listAudit({ tenants: [id] }, { limit: 1 })
      expect(row?.target).toBe('gateways/[masked]')
    })

    test('pages list every row once, newest first, and only of the tenants that were asked for', async () => {
      const [mine, other] = [await tenant(), await tenant()]
      for (const name of ['a', 'b', 'c']) await store.addGateway(newGateway(mine, name))
      const seen: (string | null)[] = []
      for (let after: string | undefined; ; ) {
        const page = await store.listAudit(
          { tenants: [mine] },
          after === undefined ? { limit: 2 } : { limit: 2, after },
        )
        seen.push(...page.map(({ target }) => target))
        after = page.at(-1)?.sequence.toString()
        if (page.length < 2) break
      }
      expect(seen).toEqual(['c', 'b', 'a', mine])
      expect(
        (await store.listAudit({ tenants: undefined }, { limit: 1000 })).map((row) => row.tenant),
      ).toContain(other)
      expect(await store.listAudit({ tenants: [] }, { limit: 10 })).toEqual([])
    })
  })
}
