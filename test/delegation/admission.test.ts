import { describe, expect, test } from 'vitest'
import type { Admission } from '#delegation/admission.ts'
import { native } from '#gateways/native.ts'
import type { ClientDocument, ClientDocuments } from '#model/client-document.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { listOf, revocation } from '../revocation/subjects.ts'
import { jsonWire } from '../support/wire.ts'
import { NOON } from '../support/world.ts'
import {
  AGENTS,
  act,
  agent,
  askWire,
  codeOf,
  FOREIGN,
  federation,
  ISSUER,
  PARTNER,
  reference,
  type Scene,
  TOOL,
  tokenOf,
  worldOf,
} from './scene.ts'

const ID = 'spiffe://example.org/agents/run-7'
const LIMITS = { childrenMax: 2, lifetimeSeconds: 60 }

function blueprint(attrs: StoredEntity['attrs'], id = 'runner'): StoredEntity {
  return { uid: { type: 'Warder::Blueprint', id }, attrs: { ...LIMITS, ...attrs }, tags: {}, parents: [] }
}

/** Asks with a chain; gives the code and what was to be registered. */
async function ask(
  more: readonly StoredEntity[],
  chain: readonly (string | JsonObject)[] = [ID],
  outcome: 'full' | 'used' | 'stopped' = 'full',
  scene: Scene = {},
) {
  const asked: Admission[] = []
  const world = await worldOf({ ...scene, more } satisfies Scene, async (_, admission) => {
    asked.push(admission)
    return outcome
  })
  const token = await tokenOf({ act: act(...chain) ?? null })
  const body = { tool: TOOL, credentials: { access_token: token } }
  return { code: codeOf(await askWire(world, [native, jsonWire('/v1/decide', body)])), asked }
}

test.each<[string, StoredEntity['attrs'], readonly string[]]>([
  ['the pattern of its SPIFFE ID', { admitIds: ['spiffe://example.org/agents/*'] }, [ID]],
  ['its whole id', { admitIds: [ID] }, [ID]],
  ['its parent', { admitParents: ['a'] }, ['child-7', 'a']],
])('an unknown agent is registered just in time by %s', async (_, attrs, chain) => {
  const { code, asked } = await ask([blueprint(attrs)], chain)
  expect(asked).toMatchObject([
    { agent: chain[0], blueprint: 'runner', parent: chain[1], issuer: ISSUER, ...LIMITS },
  ])
  // As many live already, says the store.
  expect(code).toBe('agent.limit')
})

test.each<[string, readonly StoredEntity[], readonly string[]]>([
  ['no blueprint names', [blueprint({ admitIds: ['spiffe://example.org/other/*'] })], [ID]],
  ['only a whole host would match', [blueprint({ admitIds: ['spiffe://*'] })], [ID]],
  ['only everything would match', [blueprint({ admitIds: ['*', '/*'] })], [ID]],
  ['is the folder itself', [blueprint({ admitIds: [`${ID}/*`] })], [`${ID}/`]],
  ['a stopped blueprint names', [blueprint({ admitIds: [ID], status: 'suspended' })], [ID]],
  ['a blueprint without a lifetime names', [blueprint({ admitIds: [ID], lifetimeSeconds: 0 })], [ID]],
  ['a blueprint without a number names', [blueprint({ admitIds: [ID], childrenMax: 'many' })], [ID]],
  ['two blueprints name', [blueprint({ admitIds: [ID] }), blueprint({ admitIds: [ID] }, 'other')], [ID]],
  ['another parent than those listed has', [blueprint({ admitParents: ['b'] })], ['child-7', 'a']],
  ['a parent further up has', [blueprint({ admitParents: ['b'] })], ['child-7', 'a', 'b']],
  ['is not the one that acts', [blueprint({ admitIds: [ID] })], ['a', ID]],
])('an unknown agent that %s stays unknown', async (_, more, chain) => {
  expect(await ask(more, chain)).toEqual({ code: 'agent.unknown', asked: [] })
})

describe('an actor that is said to be of another issuer than the one that signed', () => {
  const URL = 'https://agents.example/clients/7.json'
  const listed = { rules: { actorIssuers: { [ISSUER]: [PARTNER] } } }
  const admits = blueprint({ admitIds: [ID, URL] })
  test.each<[string, readonly StoredEntity[], readonly (string | JsonObject)[]]>([
    ['is not registered', [admits], [{ sub: ID, iss: PARTNER }]],
    ['makes no document be fetched', [admits], [{ sub: URL, iss: PARTNER }]],
    ['spawns nobody', [blueprint({ admitParents: ['a'] })], ['child-7', { sub: 'a', iss: PARTNER }]],
    ['lets nobody be registered for it', [admits], [ID, 'b', { sub: 'a', iss: PARTNER }]],
  ])('%s', async (_, more, chain) => {
    const documents: ClientDocuments = { standingOf: () => expect.unreachable() }
    expect(await ask(more, chain, 'full', { documents })).toEqual({ code: 'agent.unknown', asked: [] })
  })

  test('is registered with that issuer where the tenant lists it', async () => {
    const { asked } = await ask([admits], [{ sub: ID, iss: PARTNER }], 'full', listed)
    expect(asked).toMatchObject([{ agent: ID, issuer: PARTNER }])
  })
})

test('a registered agent is never registered again', async () => {
  const { asked } = await ask([blueprint({ admitIds: ['a'] })], ['a'])
  expect(asked).toEqual([])
})

test('whom only a gateway names is not registered', async () => {
  const world = await worldOf({ more: [blueprint({ admitIds: [ID] })] }, () => expect.unreachable())
  const decision = await askWire(world, [
    native,
    jsonWire('/v1/decide', { tool: TOOL, agent: ID, user: 'alice' }),
  ])
  expect(codeOf(decision)).toBe('agent.unknown')
})

test('an id that was used is told from a blueprint that is full in the row only', async () => {
  expect((await ask([blueprint({ admitIds: [ID] })], [ID], 'used')).code).toBe('agent.limit')
})

test('an explanation for an operator registers nobody', async () => {
  const asked: Admission[] = []
  const world = await worldOf(
    { more: [blueprint({ admitIds: [ID] })] } satisfies Scene,
    async (_, admission) => {
      asked.push(admission)
      return 'full'
    },
  )
  const body = { tool: TOOL, credentials: { access_token: await tokenOf({ act: act(ID) ?? null }) } }
  const read = native.read(jsonWire('/v1/decide', body), world.gateway, NOON)
  const [request] = read.ok ? read.value.requests : []
  if (request === undefined) throw new Error('nothing was read')
  const explained = await world.decider.decide({ ...request, explain: 'operator' }, world.gateway)
  expect([explained.reasons[0]?.code, asked]).toEqual(['agent.unknown', []])
  await world.decider.decide(request, world.gateway)
  expect(asked).toHaveLength(1)
})

const instant = (text: string) => ({ __extn: { fn: 'datetime', arg: text } })
const suspended = (id: string): StoredEntity => agent(id, { status: 'suspended' })
const spawner = blueprint({ admitParents: ['boss'] })

describe('no child is admitted, and no place is taken, of a parent that', () => {
  test.each<[string, readonly StoredEntity[], string]>([
    ['is suspended', [suspended('boss')], 'agent.suspended'],
    ['is retired', [agent('boss', { status: 'retired' })], 'agent.retired'],
    ['is not active yet', [agent('boss', { status: 'pending' })], 'agent.pending'],
    ['has a status that nobody knows', [agent('boss', { status: 'Active' })], 'agent.suspended'],
    ['has ended', [agent('boss', { expiresAt: instant('2026-01-01T00:00:00Z') })], 'agent.expired'],
    [
      'somebody who is suspended has spawned',
      [agent('boss', { spawnedBy: reference('Agent', 'top') }), suspended('top')],
      'agent.suspended',
    ],
    ['nobody has registered', [], 'agent.unknown'],
    [
      'comes of a blueprint that is stopped',
      [
        agent('boss', {}, [{ type: 'Warder::Blueprint', id: 'upper' }]),
        {
          uid: { type: 'Warder::Blueprint', id: 'upper' },
          attrs: { status: 'retired' },
          tags: {},
          parents: [],
        },
      ],
      'agent.suspended',
    ],
  ])('%s', async (_what, parents, code) => {
    expect(await ask([spawner, ...parents], ['child-7', 'boss'])).toEqual({ code, asked: [] })
  })

  test('is revoked', async () => {
    const revocations = listOf(revocation({ kind: 'agent', id: 'boss' }))
    const scene = { revocations }
    expect(await ask([spawner, agent('boss')], ['child-7', 'boss'], 'full', scene)).toEqual({
      code: 'revoked.authority',
      asked: [],
    })
  })

  test('belongs to another tenant', async () => {
    const scene = {
      foreign: [agent('boss', { tenant: reference('Tenant', FOREIGN) })],
      federations: [federation({ agents: ['boss'] })],
    }
    expect(await ask([spawner], ['child-7', 'boss'], 'full', scene)).toEqual({
      code: 'agent.unknown',
      asked: [],
    })
  })
})

test('an actor further up who is suspended keeps the place of a child free as well', async () => {
  const more = [spawner, agent('boss'), suspended('top')]
  expect(await ask(more, ['child-7', 'boss', 'top'])).toEqual({ code: 'agent.suspended', asked: [] })
})

test('an agent that the pattern of its id admits is not, for a suspended actor', async () => {
  const more = [blueprint({ admitIds: [ID] }), suspended('boss')]
  expect(await ask(more, [ID, 'boss'])).toEqual({ code: 'agent.suspended', asked: [] })
})

test('a suspended user takes no place', async () => {
  const alice: StoredEntity = {
    uid: { type: 'Warder::User', id: 'alice' },
    attrs: { status: 'suspended' },
    tags: {},
    parents: [],
  }
  expect(await ask([blueprint({ admitIds: [ID] }), alice])).toEqual({ code: 'user.suspended', asked: [] })
})

test('a blueprint that is revoked admits nobody', async () => {
  const scene = { revocations: listOf(revocation({ kind: 'blueprint', id: 'runner' }, { mode: 'kill' })) }
  expect(await ask([blueprint({ admitIds: [ID] })], [ID], 'full', scene)).toEqual({
    code: 'revoked.authority',
    asked: [],
  })
})

test('a parent that was suspended since, as the database says, has its child denied', async () => {
  const { code, asked } = await ask([spawner, ...AGENTS, agent('boss')], ['child-7', 'boss'], 'stopped')
  expect([code, asked.length]).toEqual(['agent.limit', 1])
})

describe('an agent whose id is the URL of its metadata document', () => {
  const URL = 'https://agents.example/clients/7.json'
  const admits = blueprint({ admitIds: ['https://agents.example/clients/*'] })
  /** Documents that are all so, and who asked about them. */
  const documentsThatAre = (standing: ClientDocument) => {
    const urls: string[] = []
    const standingOf: ClientDocuments['standingOf'] = (url) => {
      urls.push(url)
      return standing
    }
    return { urls, documents: { standingOf } }
  }

  test.each<[ClientDocument, string]>([
    ['good', 'agent.limit'],
    ['wrong', 'agent.metadata_invalid'],
    ['unknown', 'agent.metadata_unavailable'],
  ])('is registered just in time by a document that is %s: %s', async (standing, expected) => {
    const { urls, documents } = documentsThatAre(standing)
    const { code, asked } = await ask([admits], [URL], 'full', { documents })
    expect(code).toBe(expected)
    expect(asked.map(({ agent: id, issuer }) => [id, issuer])).toEqual(
      standing === 'good' ? [[URL, ISSUER]] : [],
    )
    expect(urls).toEqual([URL])
  })

  test('is not registered where its issuer does not say that its clients have documents', async () => {
    expect(await ask([admits], [URL])).toEqual({ code: 'agent.metadata_invalid', asked: [] })
  })

  test.each<[string, readonly StoredEntity[], string, Scene]>([
    ['no blueprint admits', [], URL, {}],
    ['another host is admitted', [blueprint({ admitIds: ['https://other.example/clients/*'] })], URL, {}],
    ['the host only begins so', [admits], 'https://agents.example.evil/clients/7.json', {}],
    ['is registered already', [admits], URL, { agents: [...AGENTS, agent(URL)] }],
  ])('%s: no document is asked for', async (_, more, id, scene) => {
    const { urls, documents } = documentsThatAre('good')
    const { asked } = await ask(more, [id], 'full', { ...scene, documents })
    expect([asked, urls]).toEqual([[], []])
  })

  test('a token that does not verify makes nothing be fetched', async () => {
    const { urls, documents } = documentsThatAre('good')
    const world = await worldOf({ more: [admits], documents }, async () => 'full')
    const good = await tokenOf({ act: { sub: URL } })
    const forged = `${good.slice(0, good.lastIndexOf('.'))}.${'A'.repeat(86)}`
    const expired = await tokenOf({ act: { sub: URL }, exp: NOON / 1000 - 600, iat: NOON / 1000 - 700 })
    for (const [token, code] of [
      [forged, 'token.signature'],
      [expired, 'token.expired'],
    ] as const) {
      const body = { tool: TOOL, credentials: { access_token: token } }
      expect(codeOf(await askWire(world, [native, jsonWire('/v1/decide', body)]))).toBe(code)
    }
    expect(urls).toEqual([])
  })

  test('an agent that its parent spawned needs no document', async () => {
    const { urls, documents } = documentsThatAre('wrong')
    const spawned = await ask([blueprint({ admitParents: ['a'] })], [URL, 'a'], 'full', { documents })
    expect(spawned.code).toBe('agent.limit')
    expect(urls).toEqual([])
  })
})
