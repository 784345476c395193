import { inspect } from 'node:util'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createDecider, type Steps } from '#decide.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import { createMask } from '#decision-log/mask.ts'
import { createDelegations } from '#delegation/delegations.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import type { ExchangeQuestion } from '#identity/token-exchange.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import type { VerifiedIdentity, VerifiedToken } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { ObligationType } from '#model/obligation.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Dialect } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { type Breakers, createBreakers } from '#revocation/breakers.ts'
import { RevocationSnapshot } from '#revocation/snapshot.ts'
import { agent, FOREIGN, federation } from '../delegation/scene.ts'
import { issuer } from '../support/tokens.ts'
import { jsonWire, wire } from '../support/wire.ts'
import { createWorld, NOON, policyFile, stateOf, type World } from '../support/world.ts'

const IDP = 'https://idp.example'
const SUBJECT = 'subject-token-of-the-agent'
const NEW = 'new-token-for-the-upstream'
const AT = (NOON / 1000) as EpochSeconds
const judgePolicy = createJudgePolicy(createEvaluate(createEngine()))

const PERMIT = `
@id("pay")
@obligation("{\\"type\\":\\"token_exchange\\",\\"audience\\":\\"https://pay.example\\",\\"scope\\":\\"pay:create\\"}")
permit (principal, action in Warder::Action::"callTool", resource);
`
const entity = (type: string, id: string, attrs: object) => ({
  uid: { type: `Warder::${type}`, id },
  attrs: attrs as never,
  tags: {},
  parents: [],
})
const TRUST = issuer([], {
  issuer: IDP,
  tokenExchange: {
    url: `${IDP}/token`,
    revocationUrl: `${IDP}/revoke`,
    clientId: 'warder',
    authentication: 'client_secret_basic',
    secret: 'sealed',
    actorToken: false,
  },
})
const { tokenExchange: _, ...WITHOUT } = TRUST
const TOKEN: VerifiedToken = {
  issuer: IDP,
  subject: 'alice',
  id: 'jti-1',
  expiresAt: (AT + 600) as EpochSeconds,
  issuedAt: AT,
  scopes: [],
  session: 's-1',
}

let world: World
let asked: ExchangeQuestion[] = []
let rows: LogEntry[] = []
let faults: unknown[] = []
beforeAll(async () => {
  const entities = [
    entity('Agent', 'bot', { status: 'active', environment: 'any' }),
    entity('Tool', 'pay/create', { route: 'POST /payments', riskTier: 'low', sideEffect: 'read' }),
  ]
  world = await createWorld('acme', { policies: [policyFile(PERMIT)], entities })
})
beforeEach(() => {
  asked = []
  rows = []
  faults = []
})

interface Scene {
  readonly dialect?: Dialect
  readonly obligations?: readonly ObligationType[]
  readonly issuers?: readonly Issuer[]
  /** Undefined: the gateway asserts who asks. */
  readonly token?: Partial<VerifiedToken> | null
  readonly outcome?: () => ReturnType<NonNullable<Steps['exchanger']>['exchange']>
  readonly explain?: 'agent'
  readonly credentials?: AuthorizationRequest['credentials']
  readonly writes?: boolean
  readonly exchanger?: null
  /** An actor that another tenant has sent. */
  readonly guest?: boolean
  /** What becomes of that tenant while the issuer takes its time. */
  readonly abroad?: Partial<TenantState>
  readonly breakers?: Breakers
}

const issued = (seconds?: number) => async () => {
  const expiresAt = seconds === undefined ? undefined : ((AT + seconds) as EpochSeconds)
  return { ok: true, value: { token: new Hidden(NEW), expiresAt, cached: false } } as const
}
const refused = (code: 'exchange.refused' | 'exchange.unavailable') => async () =>
  ({ ok: false, failure: { code, message: REASONS[code], detail: 'invalid_target' } }) as const

function requestOf(dialect: Dialect): AuthorizationRequest {
  const reader: GatewayDialect = dialect === 'native' ? native : forwardAuth
  const headers: [string, string][] = [
    ['X-Forwarded-Method', 'POST'],
    ['X-Forwarded-Uri', '/payments'],
    ['Authorization', `Bearer ${SUBJECT}`],
  ]
  const body = { agent: 'bot', tool: 'pay/create', credentials: { access_token: SUBJECT } }
  const asking =
    dialect === 'native' ? jsonWire('/v1/decide', body) : wire({ target: '/forward-auth', headers })
  const read = reader.read(asking, world.gateway, NOON)
  const request = read.ok ? read.value.requests[0] : undefined
  if (request === undefined) throw new Error(JSON.stringify(read))
  return { ...request, dialect }
}

async function decide(scene: Scene = {}, during?: (tenant: TenantState) => TenantState) {
  const {
    dialect = 'forward-auth',
    obligations = ['token_exchange'],
    token = {},
    outcome = issued(300),
  } = scene
  let guests: Partial<TenantState> = { registry: applyEntities(emptyRegistry(), [agent('guest')], []) }
  const delegations = createDelegations([], scene.guest ? [federation()] : [])
  let tenant: TenantState = { ...world.tenant, issuers: scene.issuers ?? [TRUST], delegations }
  const provenance = token === null ? 'gateway' : 'verified'
  const party = (id: string) => ({ id, provenance, properties: {} }) as const
  const identity: VerifiedIdentity = {
    tenant: tenant.id,
    agent: party('bot'),
    user: party('alice'),
    subject: undefined,
    delegation: scene.guest
      ? { source: 'token', chain: [{ id: 'guest', issuer: undefined }] }
      : { source: 'none', chain: [] },
    token: token === null ? undefined : { ...TOKEN, ...token },
  }
  const steps: Steps = {
    clock: () => NOON,
    state: stateOf((id) => (id === FOREIGN ? { ...tenant, id, ...guests } : tenant)),
    freshnessMillisecondsMax: 10_000,
    verify: async () => ({ ok: true, value: identity }),
    judgePolicy,
    ...(scene.exchanger !== null && {
      exchanger: {
        exchange: async (question) => {
          asked.push(question)
          if (during !== undefined && asked.length === 1) tenant = during(tenant)
          guests = { ...guests, ...scene.abroad }
          return await outcome()
        },
      },
    }),
    ...(scene.breakers !== undefined && { breakers: scene.breakers }),
    mask: createMask(new Uint8Array(32)),
    log: {
      write: async (entry) => {
        rows.push(entry)
        return scene.writes === false
          ? { ok: false, failure: 'log.unavailable' }
          : { ok: true, value: undefined }
      },
    },
    onFault: (error) => faults.push(error),
  }
  const gateway = { ...world.gateway, asserts: undefined, obligations: new Set(obligations) }
  const { credentials, explain } = scene
  const request = {
    ...requestOf(dialect),
    ...(credentials !== undefined && { credentials }),
    ...(explain !== undefined && { explain }),
  }
  const decision = await createDecider(steps).decide(request, gateway)
  // INVARIANT: whatever happened, no token is where it could be read.
  for (const kept of [
    JSON.stringify(rows),
    inspect(rows, { depth: 20 }),
    JSON.stringify(decision),
    String(faults),
  ])
    for (const secret of [SUBJECT, NEW]) expect(kept).not.toContain(secret)
  return decision
}

const deny = (code: string) => ({ effect: 'deny', reasons: [{ code }], obligations: [] })

describe('an exchange that a policy demands', () => {
  test('hangs on the tenant that sent an actor of the call', async () => {
    expect(await decide({ guest: true })).toMatchObject({ effect: 'allow' })
    expect(asked[0]?.crossings).toEqual([FOREIGN])
    expect(asked[0]?.dependencies).toContainEqual({ kind: 'tenant', id: FOREIGN })
  })

  test.each(['forward-auth', 'envoy-http', 'envoy-grpc'] as const)(
    'is made by Warder for a gateway of %s that is registered for it',
    async (dialect) => {
      const decision = await decide({ dialect })
      expect(decision).toMatchObject({ effect: 'allow', obligations: [{ type: 'token_exchange' }] })
      expect(decision.upstreamToken?.reveal()).toBe(NEW)
      expect(asked).toMatchObject([
        { tenant: 'acme', audience: 'https://pay.example', scope: 'pay:create', subjectExpiresAt: AT + 600 },
      ])
      expect(asked[0]?.subject.reveal()).toBe(SUBJECT)
    },
  )

  test('is in the row of the log, with everything but the token, and the row can be replayed', async () => {
    await decide()
    const exchange = { issuer: IDP, audience: 'https://pay.example', scope: 'pay:create', cached: false }
    expect(rows).toMatchObject([{ decision: 'allow', trace: { exchange, replayable: true } }])
  })

  test('ends with everything that the call hangs on, but not with one tool', async () => {
    await decide()
    const kinds = new Set(asked[0]?.dependencies.map(({ kind }) => kind))
    expect(asked[0]?.dependencies).toContainEqual({ kind: 'session', id: `${IDP}|s-1` })
    for (const kind of ['token', 'subject', 'agent', 'issuer', 'tenant', 'everything'] as const)
      expect(kinds).toContain(kind)
    expect(kinds).not.toContain('tool')
  })

  test('shortens the allow to the life of the new token', async () => {
    expect((await decide({ outcome: issued(300) })).expiresAt).toBe(AT)
    expect((await decide({ outcome: issued(-10) })).expiresAt).toBe(AT - 10)
  })
})

test.each<[string, Scene, string]>([
  ['a gateway that is not registered for it', { obligations: ['set_header'] }, 'obligation.unsupported'],
  ['a refusal of the issuer', { outcome: refused('exchange.refused') }, 'exchange.refused'],
  ['an issuer that can not be asked', { outcome: refused('exchange.unavailable') }, 'exchange.unavailable'],
  ['an identity that the gateway asserts', { token: null }, 'exchange.no_token'],
  ['an API key', { token: { kind: 'api-key' } }, 'exchange.no_token'],
  ['another scheme', { credentials: [{ scheme: 'apikey', value: SUBJECT }] }, 'exchange.no_token'],
  ['a token of an issuer without exchange', { token: { issuer: 'https://b.example' } }, 'exchange.no_token'],
  ['a log that fails', { writes: false }, 'log.unavailable'],
])('%s denies, and no token leaves', async (_name, scene, code) => {
  const decision = await decide(scene)
  expect(decision).toMatchObject(deny(code))
  expect(decision.upstreamToken).toBeUndefined()
  if (code === 'exchange.no_token' || code === 'obligation.unsupported') expect(asked).toEqual([])
})

test('a fault of the exchange is a deny', async () => {
  const broken = async () => {
    throw new Error('broken')
  }
  expect(await decide({ outcome: broken })).toMatchObject(deny('internal.fault'))
})

test('what a deny of the issuer said is for operators, and its row is not replayed as if it were our decision', async () => {
  await decide({ outcome: refused('exchange.refused') })
  expect(rows).toMatchObject([
    { reason: 'exchange.refused', trace: { detail: 'invalid_target', replayable: false } },
  ])
})

test.each<[string, Scene]>([
  ['of a JSON dialect, which gets no token', { dialect: 'native' }],
  ['over OPA’s API, which could leave the old one in place', { dialect: 'opa' }],
  ['where no issuer says how', { issuers: [WITHOUT] }],
  ['where nothing here exchanges', { exchanger: null }],
  ['that only explains', { explain: 'agent' }],
])('a gateway %s is told to exchange the token itself', async (_name, scene) => {
  const decision = await decide(scene)
  expect(decision).toMatchObject({ effect: 'allow', obligations: [{ type: 'token_exchange' }] })
  expect(decision.upstreamToken).toBeUndefined()
  expect(asked).toEqual([])
})

function revoking(kind: 'session' | 'agent', id: string): RevocationSnapshot {
  const revocation = { kind, id, revocation: 'r', source: 'admin', mode: 'deny', reason: 'r' } as const
  return RevocationSnapshot.empty.apply([{ revocation, isInForce: true }], NOON)
}

test('what is revoked while the issuer takes its time denies', async () => {
  const revocations = revoking('session', `${IDP}|s-1`)
  const decision = await decide({}, (tenant) => ({ ...tenant, version: 2, revocations }))
  expect(decision).toMatchObject(deny('revoked.authority'))
  expect(decision.upstreamToken).toBeUndefined()
})

const suspended = applyEntities(emptyRegistry(), [agent('guest', { status: 'suspended' })], [])
test.each<[string, Partial<TenantState>, string]>([
  ['revokes', { revocations: revoking('agent', 'guest') }, 'revoked.authority'],
  ['suspends', { registry: suspended }, 'agent.suspended'],
])('an actor whom its own tenant %s while the issuer takes its time denies', async (_name, abroad, code) => {
  const decision = await decide({ guest: true, abroad })
  expect(decision).toMatchObject(deny(code))
  expect(decision.upstreamToken).toBeUndefined()
})

test('an agent whose breaker opens while the issuer takes its time is denied', async () => {
  const breakers = createBreakers(() => undefined)
  const rules = { breaker: { denyShare: 0.1, minimum: 1, windowSeconds: 60, openSeconds: 60 } }
  const decision = await decide({ breakers }, (tenant) => {
    breakers.count({ tenant: tenant.id, agent: 'bot', rules, isDenied: true, now: NOON })
    return tenant
  })
  expect(decision).toMatchObject(deny('revoked.breaker'))
  expect(decision.upstreamToken).toBeUndefined()
})

test('another change of the state means that everything is judged anew', async () => {
  const decision = await decide({}, (tenant) => ({ ...tenant, version: 2 }))
  expect(decision).toMatchObject({ effect: 'allow', stateVersion: 2 })
  expect(asked).toHaveLength(2)
})
