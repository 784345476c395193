import { describe, expect, test } from 'vitest'
import { createSealing } from '#admin/sealing.ts'
import { BYTES_MAX, JUDGED_MAX } from '#decide/search-pace.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { TenantState } from '#model/state.ts'
import type { EntityUid, Json, JsonObject } from '#model/value.ts'
import { findAll, isAllowed, pageOf, search } from '../support/search.ts'
import { createWorld, policyFile, type World, type WorldInput } from '../support/world.ts'

const uid = (type: string, id: string): EntityUid => ({ type, id })
const entity = (
  type: string,
  id: string,
  parents: readonly EntityUid[] = [],
  attrs: JsonObject = {},
): StoredEntity => ({
  uid: uid(type, id),
  attrs,
  tags: {},
  parents,
})
const SCHEMA = {
  name: 'docs.cedarschema',
  text: 'entity team; entity user in [team]; entity folder; entity doc in [folder] { secret?: Bool }; action read, write appliesTo { principal: [user], resource: [doc] };',
}
const ALL = 'permit(principal, action, resource is doc) unless { resource has secret && resource.secret };'

/** A tenant of documents. */
async function docs(
  policies: readonly string[],
  entities: readonly StoredEntity[],
  more: Partial<WorldInput> = {},
) {
  const texts = policies.map((text, at) => `@id("p${at}")\n${text}`)
  return await createWorld('acme', { policies: [SCHEMA, policyFile(texts.join('\n'))], entities, ...more })
}

const ANN = { type: 'user', id: 'ann' }
const READ = { name: 'read' }
const WHICH = { subject: ANN, action: READ, resource: { type: 'doc' } }
const many = (
  count: number,
  parents: (at: number) => readonly EntityUid[] = () => [],
): readonly StoredEntity[] =>
  Array.from({ length: count }, (_, at) => entity('doc', `d${String(at).padStart(6, '0')}`, parents(at)))

/** What the row of the latest search says about it. */
function traced({ rows }: World): JsonObject {
  return rows.at(-1)?.trace['search'] as JsonObject
}

describe('who may not see something is not told that it exists', () => {
  const NOTHING = { results: [] }
  test('entities of another tenant never appear, whatever the request names', async () => {
    const other = await docs([ALL], [entity('doc', 'theirs'), entity('user', 'ann')])
    const others = [{ ...other.tenant, id: 'globex' as TenantState['id'] }]
    const world = await docs([ALL], [entity('doc', 'ours'), entity('user', 'ann')], { others })
    expect((await search(world, 'resource', WHICH)).body).toEqual({ results: [{ type: 'doc', id: 'ours' }] })
    const named = (tenant: string) => ({ ...WHICH, context: { warder: { tenant } } })
    const [theirs, unknown] = [
      await search(world, 'resource', named('globex')),
      await search(world, 'resource', named('none')),
    ]
    expect(theirs.body).toEqual(NOTHING)
    expect(unknown).toEqual({ ...theirs, decision: unknown.decision })
    expect((await search(world, 'resource', named('acme'))).body).not.toEqual(NOTHING)
  })

  test.each<[string, Partial<Gateway>, JsonObject]>([
    ['a gateway that may not say who asks', { asserts: new Set() }, WHICH],
    ['a type that nobody registered', {}, { ...WHICH, resource: { type: 'spaceship' } }],
    ['a type that Cedar can not spell', {}, { ...WHICH, resource: { type: 'in storage object' } }],
    ['a type of actions', {}, { ...WHICH, resource: { type: 'Action' } }],
    ['an action that nobody declared', {}, { ...WHICH, action: { name: 'fly' } }],
    ['a subject of a type that nobody knows', {}, { ...WHICH, subject: { type: 'spaceship', id: 'ann' } }],
    ['somebody whom no policy permits anything', {}, { ...WHICH, subject: { type: 'user', id: 'mallory' } }],
  ])('an empty list, the same for each: %s', async (_why, gateway, body) => {
    const policies = ['permit(principal == user::"ann", action, resource);']
    const world = await docs(policies, [entity('doc', 'd1')], { gateway })
    expect(await search(world, 'resource', body)).toMatchObject({ status: 200, body: NOTHING })
    const who = { ...body, subject: { type: 'user' }, resource: { type: 'doc', id: 'd9' } }
    const subjects = await search(await docs([], [entity('user', 'ann')], { gateway }), 'subject', who)
    expect(subjects).toMatchObject({ status: 200, body: NOTHING })
  })

  test('a tenant without policies gives an empty list', async () => {
    const world = await docs([ALL], [entity('doc', 'd1')])
    const none = await createWorld('acme', { policies: [policyFile('')], entities: [entity('doc', 'd1')] })
    for (const open of ['subject', 'resource', 'action'] as const)
      expect((await search(none, open, { ...WHICH, resource: { type: 'doc', id: 'd1' } })).body).toEqual(
        NOTHING,
      )
    expect((await search(world, 'resource', WHICH)).body).not.toEqual(NOTHING)
  })
})

const ten = many(10)

describe('pages', () => {
  test('each result comes once, in the order of ids, whatever the limit', async () => {
    const world = await docs([ALL], ten)
    const ids = ten.map((each) => each.uid.id)
    for (const limit of [1, 2, 3, 7, 10, 11, JUDGED_MAX, 5_000_000])
      expect(await findAll(world, 'resource', WHICH, limit)).toEqual(ids)
    expect((await pageOf(world, 'resource', WHICH)).page).toBeUndefined()
    expect((await pageOf(world, 'resource', { ...WHICH, page: { limit: 10 } })).page).toEqual({
      next_token: '',
      count: 10,
    })
  })

  test('a limit of zero gives nothing, and is not the end', async () => {
    const world = await docs([ALL], ten)
    const { results, page } = await pageOf(world, 'resource', { ...WHICH, page: { limit: 0 } })
    expect([results, page?.count, page?.next_token === '']).toEqual([[], 0, false])
  })

  test('what comes and goes between two pages neither repeats nor hides what stays', async () => {
    const policies = [ALL]
    const before = await docs(policies, ten)
    const { page } = await pageOf(before, 'resource', { ...WHICH, page: { limit: 4 } })
    const after = await docs(policies, [
      ...ten.slice(6),
      entity('doc', 'd000000a'),
      entity('doc', 'd000005a'),
    ])
    const rest = await pageOf(after, 'resource', {
      ...WHICH,
      page: { token: page?.next_token ?? '', limit: 4 },
    })
    expect(rest.results.map(({ id }) => id)).toEqual(['d000005a', 'd000006', 'd000007', 'd000008'])
  })

  test('a token tells nothing of what was looked at, and two are never alike', async () => {
    const world = await docs([ALL], ten)
    const token = async () =>
      (await pageOf(world, 'resource', { ...WHICH, page: { limit: 1 } })).page?.next_token ?? ''
    const [one, two] = [await token(), await token()]
    expect(one).not.toBe(two)
    for (const part of one.split('.'))
      expect(Buffer.from(part, 'base64url').toString('latin1')).not.toContain('d0000')
  })
})

describe('a token is good for its search alone', () => {
  const other = { id: '01930000-0000-7000-8000-000000000002' as GatewayId }
  const token = async (world: World, body: JsonObject = WHICH) =>
    (await pageOf(world, 'resource', { ...body, page: { limit: 2 } })).page?.next_token ?? ''

  test.each<[string, JsonObject]>([
    ['the same without a limit', WHICH],
    [
      'members in another order',
      { resource: { type: 'doc' }, action: READ, subject: { id: 'ann', type: 'user' } },
    ],
    ['an id of what is looked for, which is ignored', { ...WHICH, resource: { type: 'doc', id: 'x' } }],
    ['fields that nobody knows', { ...WHICH, more: true }],
  ])('it holds: %s', async (_what, body) => {
    const world = await docs([ALL], ten)
    const page = { token: await token(world) }
    expect((await pageOf(world, 'resource', { ...body, page })).results.map(({ id }) => id)).toEqual([
      'd000002',
      'd000003',
    ])
  })

  test.each<[string, JsonObject]>([
    ['another subject', { ...WHICH, subject: { type: 'user', id: 'bob' } }],
    ['another action', { ...WHICH, action: { name: 'write' } }],
    ['other properties', { ...WHICH, resource: { type: 'doc', properties: { secret: false } } }],
    ['another context', { ...WHICH, context: { time: 'now' } }],
    ['another type', { ...WHICH, resource: { type: 'folder' } }],
  ])('it is refused: %s', async (_what, body) => {
    const world = await docs([ALL], ten)
    const page = { token: await token(world) }
    expect(await search(world, 'resource', { ...body, page })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/^search\.page_token: /),
      decision: { effect: 'deny' },
    })
  })

  test('it is refused: another limit, gateway, tenant, release, part that is open, and other bytes', async () => {
    const world = await docs([ALL], ten)
    const made = await token(world)
    const status = async (pdp: World, page: Json, open: 'resource' | 'subject' = 'resource') =>
      (await search(pdp, open, { ...WHICH, resource: { type: 'doc', id: 'd1' }, page })).status
    const released = await docs([ALL, 'permit(principal, action, resource is doc);'], ten)
    const foreign = { ...world, gateway: { ...world.gateway, ...other } }
    const elsewhere = await createWorld('globex', {
      policies: [SCHEMA, policyFile(`@id("p0")\n${ALL}`)],
      entities: ten,
    })
    const sealed = createSealing([new Uint8Array(32).fill(1)]).sealPlace('[2,"d000001"]', '')
    expect(await status(world, { token: made, limit: 2 })).toBe(200)
    expect(await status(world, { token: made, limit: 3 })).toBe(400)
    expect(await status(world, { token: made }, 'subject')).toBe(400)
    expect(await status(foreign, { token: made })).toBe(400)
    expect(await status(elsewhere, { token: made })).toBe(400)
    expect(await status(released, { token: made })).toBe(400)
    for (const forged of [`${made}A`, made.slice(1), made.replace('v1', 'v2'), 'x', '"', sealed])
      expect([forged, await status(world, { token: forged })]).toEqual([forged, 400])
  })
})

describe('cost', () => {
  const COUNT = 100_000

  test('of 100,000 entities those are decided that a permit names or that are in a group that one names', async () => {
    const wanted = (at: number) => at % 5_000 === 17
    const entities = many(COUNT, (at) => [uid('folder', wanted(at) ? 'mine' : 'others')])
    const policies = [
      'permit(principal, action, resource in folder::"mine");',
      'permit(principal, action, resource == doc::"d000003");',
    ]
    const world = await docs(policies, entities)
    const expected = ['d000003', ...entities.filter((_, at) => wanted(at)).map((each) => each.uid.id)]
    expect(await findAll(world, 'resource', WHICH)).toEqual(expected)
    const judged = world.rows.reduce(
      (sum, { trace }) => sum + Number((trace['search'] as JsonObject)['judged']),
      0,
    )
    // The first one tells what narrows the search, once for each page.
    expect(judged).toBeLessThanOrEqual(expected.length + world.rows.length)
    expect(world.rows.length).toBeGreaterThan(1)
  })

  test('one that nobody may see anything of ends with the first', async () => {
    const world = await docs(['permit(principal == user::"bob", action, resource);'], many(COUNT))
    expect(await search(world, 'resource', WHICH)).toMatchObject({ status: 200, body: { results: [] } })
    expect(traced(world)).toMatchObject({ judged: 1, shown: [], complete: true })
  })

  test('a page decides so many and no more, and then says that it is not the end', async () => {
    const last = entity('doc', 'z')
    const secret = many(JUDGED_MAX + 500).map((each) => ({ ...each, attrs: { secret: true } }))
    const world = await docs([ALL], [...secret, last])
    const first = await pageOf(world, 'resource', WHICH)
    expect([first.results, first.page?.next_token === '']).toEqual([[], false])
    expect(traced(world)).toMatchObject({ judged: JUDGED_MAX, complete: false })
    expect(await findAll(world, 'resource', WHICH)).toEqual(['z'])
  })
})

test('a page of a large question decides fewer, and is not the end either', async () => {
  const world = await docs([ALL], many(100))
  const large = { ...WHICH, context: { text: 'x'.repeat(200_000) } }
  const { results, page } = await pageOf(world, 'resource', large)
  expect([results.length, page?.next_token === '']).toEqual([
    Math.floor(BYTES_MAX / JSON.stringify(large).length),
    false,
  ])
  expect(await findAll(world, 'resource', large)).toHaveLength(100)
})

test('a search is one row, with how many were decided and which were shown', async () => {
  const world = await docs([ALL], [...many(3), entity('doc', 'x', [], { secret: true })])
  const { decision } = await search(world, 'resource', WHICH)
  expect(world.rows).toHaveLength(1)
  expect(world.rows[0]).toMatchObject({
    decision_id: decision?.id,
    decision: 'allow',
    reason: 'search.answered',
    subject: 'user::ann',
    action: 'read',
    resource: null,
    trace: {
      replayable: false,
      search: {
        open: 'resource',
        type: 'doc',
        judged: 4,
        shown: ['d000000', 'd000001', 'd000002'],
        complete: true,
      },
    },
  })
  expect(await isAllowed(world, 'resource', WHICH, 'x')).toBe(false)
})
