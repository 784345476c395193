import { describe, expect, test } from 'vitest'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Judgement } from '#model/answer.ts'
import type { TenantId } from '#model/ids.ts'
import type { Provenance } from '#model/provenance.ts'
import type { ReasonCode } from '#model/reasons.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createBreakers, type Trip } from '#revocation/breakers.ts'
import { countOutcome } from '#revocation/count-outcome.ts'
import { TENANT, tenantWith } from '../support/tokens.ts'
import { agent, delegated, NOW, token } from './subjects.ts'

const RULE = { denyShare: 0.5, minimum: 4, windowSeconds: 60, openSeconds: 30 }
const BOT = [{ kind: 'agent', id: 'bot' }] as const

function breaker(rule: Partial<typeof RULE> = {}, agentsMax?: number) {
  const trips: Trip[] = []
  const breakers = createBreakers((trip) => trips.push(trip), agentsMax)
  const count = (outcomes: string, at = 0, agent = 'bot', tenant = TENANT) => {
    for (const outcome of outcomes)
      breakers.count({
        tenant,
        agent,
        rules: { breaker: { ...RULE, ...rule } },
        isDenied: outcome === 'd',
        now: (NOW + at) as EpochMilliseconds,
      })
  }
  const isOpen = (at = 0, tenant = TENANT) =>
    breakers.of(tenant).find(BOT, (NOW + at) as EpochMilliseconds, undefined) !== undefined
  return { trips, breakers, count, isOpen }
}

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
describe('a breaker', () => {
  test.each([
    ['too few decisions', 'ddd', false],
    ['enough, half of them denials', 'adad', true],
    ['enough, too few denials', 'aaad', false],
    ['a last one that is no denial', 'dada', false],
    ['a denial after that', 'dadad', true],
  ])('%s: %s opens it: %s', (_name, outcomes, expected) => {
    const { count, isOpen, trips } = breaker()
    count(outcomes)
    expect([isOpen(), trips.length]).toEqual([expected, expected ? 1 : 0])
  })

  test('closes when its time is over, and then counts anew', () => {
    const { count, isOpen, trips } = breaker()
    count('dddd')
    expect([isOpen(29_999), isOpen(30_000)]).toEqual([true, false])
    count('ddd', 30_000)
    expect(isOpen(30_000)).toBe(false)
    count('d', 30_001)
    expect([isOpen(30_001), trips.length]).toEqual([true, 2])
  })

  test('forgets what lies a window back', () => {
    const { count, isOpen } = breaker()
    count('ddd')
    count('d', 70_001)
    expect(isOpen(70_001)).toBe(false)
  })

  test('remembers what lies within the window', () => {
    const { count, isOpen } = breaker()
    count('ddd')
    count('d', 49_000)
    expect(isOpen(49_000)).toBe(true)
  })

  test('is that of one agent in one tenant', () => {
    const { count, isOpen, trips } = breaker()
    count('dd', 0, 'bot', 'globex' as TenantId)
    count('dd', 0, 'other')
    count('dd')
    expect(trips).toEqual([])
    count('dd')
    expect([isOpen(), isOpen(0, 'globex' as TenantId)]).toEqual([true, false])
  })

  test('tells the other servers once', () => {
    const { count, trips } = breaker()
    count('dddd')
    expect(trips).toEqual([
      {
        tenant: TENANT,
        agent: 'bot',
        reason: '4 of 4 decisions within 60 s were denials',
        expiresAt: NOW + 30_000,
      },
    ])
  })

  test.each([
    ['a share of 0', { denyShare: 0 }],
    ['a share above 1', { denyShare: 1.1 }],
    ['no minimum', { minimum: 0 }],
    ['no window', { windowSeconds: 0 }],
    ['no number', { openSeconds: Number.NaN }],
  ])('a rule with %s is none', (_name, rule) => {
    const { count, trips } = breaker(rule)
    count('dddddddd')
    expect(trips).toEqual([])
  })

  test('agents beyond the bound are forgotten, the quietest first', () => {
    const { count, isOpen } = breaker({}, 2)
    count('ddd')
    count('d', 0, 'x')
    count('d', 0, 'y')
    count('d')
    expect(isOpen()).toBe(false)
  })

  test('a clock that is set back opens nothing by itself and loses nothing', () => {
    const { count, isOpen } = breaker()
    count('ddd', 120_000)
    count('d', 0)
    expect(isOpen()).toBe(true)
  })
})

describe('what counts', () => {
  function counted(code: ReasonCode, provenance: Provenance | undefined) {
    const { breakers, isOpen } = breaker()
    const judgement = {
      effect: code === 'policy.permit' ? 'allow' : 'deny',
      reasons: [{ code }],
    } as unknown as Judgement
    const identity =
      provenance === undefined ? undefined : delegated({ agent: { id: 'bot', provenance, properties: {} } })
    const tenant = tenantWith([], { rules: { breaker: RULE } })
    for (let i = 0; i < 6; i++)
      countOutcome(breakers, { judgement, tenant, ...(identity !== undefined && { identity }) }, NOW)
    return isOpen()
  }

  test.each([
    ['policy.forbid', 'verified', true],
    ['policy.no_permit', 'gateway', true],
    ['agent.suspended', 'verified', true],
    ['policy.permit', 'verified', false],
    ['policy.forbid', 'declared', false],
    ['policy.forbid', undefined, false],
    ['token.signature', undefined, false],
    ['revoked.authority', 'verified', false],
    ['revoked.breaker', 'verified', false],
    ['state.stale', 'verified', false],
    ['log.unavailable', 'verified', false],
    ['internal.fault', 'verified', false],
    ['policy.engine_error', 'verified', false],
    ['policy.no_release', 'verified', false],
    ['chain.issuer', 'verified', false],
    ['search.page_token', 'verified', false],
  ] as const)('%s of an agent that is %s: opens the breaker: %s', (code, provenance, expected) => {
    expect(counted(code, provenance)).toBe(expected)
  })

  test.each([
    ['https://idp.example', undefined, true],
    ['https://weak.example', undefined, false],
    ['https://idp.example', 'https://weak.example', false],
  ])(
    'an agent of https://idp.example said to be of %s in a token of %s: opens its breaker: %s',
    (issuer, signer, expected) => {
      const { breakers, isOpen } = breaker()
      const judgement = { effect: 'deny', reasons: [{ code: 'rpc.unreadable' }] } as unknown as Judgement
      const identity = delegated({
        agent: { id: 'bot', provenance: 'verified', properties: {} },
        delegation: { source: 'token', chain: [{ issuer, id: 'bot' }] },
        token: token(signer === undefined ? {} : { issuer: signer }),
      })
      const bot = agent('bot', { issuer: 'https://idp.example' })
      const registry = applyEntities(emptyRegistry(), [bot], [])
      const tenant = tenantWith([], { rules: { breaker: RULE }, registry })
      for (let i = 0; i < 6; i++) countOutcome(breakers, { judgement, tenant, identity }, NOW)
      expect(isOpen()).toBe(expected)
    },
  )
})
