import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WireRequest } from '#gateways/wire.ts'
import { createIdempotency, REPEAT_MILLISECONDS } from '#http/idempotency.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId } from '#model/ids.ts'
import { type Breakers, createBreakers } from '#revocation/breakers.ts'
import { GATEWAY, GATEWAY_KEY } from '../support/fake-decider.ts'
import { header, type RawAnswer, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'
import { createWorld, NOON, type World } from '../support/world.ts'

const QUESTION = '{"agent":"triage-bot","user":"alice","tool":"github/list_repos"}'
const DENIED = QUESTION.replace('list_repos', 'delete_repo')
const EVALUATION = JSON.stringify({
  subject: { type: 'agent', id: 'triage-bot' },
  action: { name: 'github/list_repos' },
  resource: { type: 'tool', id: 'github/list_repos' },
  context: { user: 'alice' },
})

let world: World
let pdp: WireListener
let breakers: Breakers
/** What the clock says beyond noon. */
let later = 0
/** Rows that the log refuses from now on. */
let lost = 0
let gateway: Gateway

beforeAll(async () => {
  breakers = createBreakers(() => undefined)
  world = await createWorld('demo', {
    policies: 'demo',
    breakers: { of: (tenant) => breakers.of(tenant), count: (counted) => breakers.count(counted) },
  })
})
beforeEach(async () => {
  later = 0
  lost = 0
  breakers = createBreakers(() => undefined)
  gateway = world.gateway
  world.rows.length = 0
  const decider: WireListener['decider'] = {
    asked: [],
    refused: [],
    async decide(asked, by, earlier) {
      decider.asked.push(asked)
      const decision = await world.decider.decide(asked, by, earlier)
      return lost-- > 0 ? { ...decision, effect: 'deny', retryAfterSeconds: 1 } : decision
    },
    refuse: (...refused) => world.decider.refuse(...refused),
  }
  pdp = await startListener('decision', {
    decider,
    findGateway: () => gateway,
    clock: () => (NOON + later) as EpochMilliseconds,
  })
})
afterEach(() => pdp.listener.close(0))

async function ask(body: string, key: string | undefined, target = '/v1/decide'): Promise<RawAnswer> {
  const headers: [string, string][] = [
    ['authorization', `Bearer ${GATEWAY_KEY}`],
    ['content-type', 'application/json'],
  ]
  if (key !== undefined) headers.push(['idempotency-key', key])
  return await request(pdp.port, 'POST', target, headers, body)
}

/** Opens the breaker of the demo's agent, as too many denials do. */
function stopAgent(): void {
  const breaker = { windowSeconds: 60, minimum: 1, denyShare: 0.1, openSeconds: 3_600 }
  const counted = { tenant: world.tenant.id, agent: 'triage-bot', rules: { breaker }, isDenied: true }
  breakers.count({ ...counted, now: NOON })
}

test('the questions below are allowed and denied, so that a repeat means something', async () => {
  const bodies = [await ask(QUESTION, undefined), await ask(DENIED, undefined)].map(({ body }) =>
    JSON.parse(body),
  )
  expect(bodies.map(({ decision }) => decision)).toEqual(['allow', 'deny'])
  expect((await ask(EVALUATION, undefined, '/access/v1/evaluation')).body).toBe('{"decision":true}')
})

describe('a request that comes again under its key', () => {
  const repeated: readonly (readonly [string, string, string, number])[] = [
    ['an allow', '/v1/decide', QUESTION, 1],
    ['a deny', '/v1/decide', DENIED, 1],
    ['a batch with a broken item', '/v1/decide/batch', `{"requests":[${QUESTION},{},${DENIED}]}`, 3],
    ['an AuthZEN evaluation', '/access/v1/evaluation', EVALUATION, 1],
    ['AuthZEN evaluations', '/access/v1/evaluations', `{"evaluations":[${EVALUATION}]}`, 1],
    ['what can not be read', '/v1/decide', '{', 1],
  ]
  test.each(repeated)('%s gets the same answer, and no second row', async (_what, target, body, rows) => {
    const first = await ask(body, '"k"', target)
    const counted = [...pdp.counts]
    const second = await ask(body, '"k"', target)
    expect([...pdp.counts]).toEqual(counted)
    expect(second.body).toBe(first.body)
    expect([second.status, header(second, 'x-decision-id')]).toEqual([
      first.status,
      header(first, 'x-decision-id'),
    ])
    expect(world.rows).toHaveLength(rows)
  })

  test('without a key it is another request', async () => {
    const ids = [await ask(QUESTION, undefined), await ask(QUESTION, undefined)].map((each) => each.body)
    expect(new Set(ids).size).toBe(2)
    expect(world.rows).toHaveLength(2)
  })

  test('all that come at once get one answer', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(QUESTION, '"k"')))
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1)
    expect(world.rows).toHaveLength(1)
  })

  test('shares its proofs with the first: each counts once', async () => {
    for (let i = 0; i < 2; i++) await ask(QUESTION, '"k"')
    await ask(QUESTION, '"other"')
    const [first, second, other] = pdp.decider.asked
    expect(first?.batch).toBeDefined()
    expect(second?.batch).toBe(first?.batch)
    expect(other?.batch).not.toBe(first?.batch)
  })

  test('a minute later it is another request', async () => {
    const first = await ask(QUESTION, '"k"')
    later = REPEAT_MILLISECONDS
    expect((await ask(QUESTION, '"k"')).body).not.toBe(first.body)
    expect(world.rows).toHaveLength(2)
  })

  test('what could not be answered is answered now', async () => {
    lost = 1
    expect(JSON.parse((await ask(QUESTION, '"k"')).body).decision).toBe('deny')
    expect(JSON.parse((await ask(QUESTION, '"k"')).body).decision).toBe('allow')
  })
})

describe('INVARIANT: an allow that no longer holds is never given again', () => {
  test('an agent that was stopped meanwhile is denied, in a row of its own', async () => {
    expect(JSON.parse((await ask(QUESTION, '"k"')).body).decision).toBe('allow')
    stopAgent()
    const second = JSON.parse((await ask(QUESTION, '"k"')).body)
    expect(second).toMatchObject({ decision: 'deny', reasons: [{ code: 'revoked.breaker' }] })
    expect(world.rows.map(({ decision }) => decision)).toEqual(['allow', 'deny'])
  })

  test('every allow of a batch is judged again', async () => {
    const body = `{"requests":[${QUESTION},${DENIED}]}`
    await ask(body, '"k"', '/v1/decide/batch')
    stopAgent()
    const { decisions } = JSON.parse((await ask(body, '"k"', '/v1/decide/batch')).body)
    expect(decisions.map(({ decision }: { decision: string }) => decision)).toEqual(['deny', 'deny'])
    expect(world.rows).toHaveLength(3)
  })

  test('it does not come back when the agent does: that is a decision of its own', async () => {
    const first = await ask(QUESTION, '"k"')
    stopAgent()
    await ask(QUESTION, '"k"')
    breakers = createBreakers(() => undefined)
    const third = await ask(QUESTION, '"k"')
    expect(JSON.parse(third.body).decision).toBe('allow')
    expect(header(third, 'x-decision-id')).not.toBe(header(first, 'x-decision-id'))
    expect(world.rows.map(({ decision }) => decision)).toEqual(['allow', 'deny', 'allow'])
  })

  test('nor to a gateway that was revoked', async () => {
    await ask(QUESTION, '"k"')
    await pdp.listener.close(0)
    pdp = await startListener('decision', { decider: pdp.decider, findGateway: () => undefined })
    expect((await ask(QUESTION, '"k"')).status).toBe(401)
  })
})

describe('INVARIANT: a repeat that waited is asked by the gateway as it is then', () => {
  test.each<[string, (before: Gateway) => Gateway | undefined, number, readonly string[]]>([
    [
      'changed meanwhile: by its new settings',
      (before) => ({ ...before, name: 'new' }),
      200,
      ['test', 'new'],
    ],
    ['revoked meanwhile: not at all', () => undefined, 401, ['test']],
  ])('%s', async (_what, change, status, names) => {
    await pdp.listener.close(0)
    const found = { gateway: gateway as Gateway | undefined, times: 0 }
    const waits = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const askedBy: string[] = []
    pdp = await startListener('decision', {
      decider: {
        ...pdp.decider,
        async decide(asked, by, earlier) {
          askedBy.push(by.name)
          await released.promise
          return await world.decider.decide(asked, by, earlier)
        },
      },
      clock: () => NOON,
      findGateway: () => {
        // The first is looked up three times before it is decided, the second twice before it waits.
        if (++found.times === 5) waits.resolve()
        return found.gateway
      },
    })
    const both = [ask(QUESTION, '"k"'), ask(QUESTION, '"k"')]
    await waits.promise
    found.gateway = change(gateway)
    released.resolve()
    const answers = await Promise.all(both)
    expect(answers.map((each) => each.status).sort()).toEqual([200, status])
    expect(askedBy).toEqual(names)
  })
})

describe('a key that belongs to another request', () => {
  test.each([
    ['/v1/decide', QUESTION, DENIED],
    ['/v1/decide', QUESTION, `${QUESTION} `],
    ['/v1/decide', QUESTION, '{'],
    ['/access/v1/evaluation', EVALUATION, EVALUATION.replace('alice', 'bob')],
  ])('%s is refused with 422, in a row of its own', async (target, body, other) => {
    const first = await ask(body, '"k"', target)
    const refused = await ask(other, '"k"', target)
    expect(refused.status).toBe(422)
    expect(refused.body).toContain('request.idempotency_key')
    expect(world.rows.at(-1)).toMatchObject({ decision: 'deny', reason: 'request.idempotency_key' })
    expect((await ask(body, '"k"', target)).body).toBe(first.body)
  })

  test('another route and another gateway have keys of their own', async () => {
    const first = await ask(QUESTION, '"k"')
    expect((await ask(QUESTION, '"k"', '/v1/explain')).status).toBe(200)
    gateway = { ...gateway, id: '01930000-0000-7000-8000-000000000002' as GatewayId }
    const other = await ask(QUESTION, '"k"')
    expect(other.status).toBe(200)
    expect(header(other, 'x-decision-id')).not.toBe(header(first, 'x-decision-id'))
  })

  test.each(['', 'k', '"', '""', `"${'k'.repeat(129)}"`, '"a" ', '"a"b"', '"ü"', '"a", "b"', '"a";b'])(
    '`%s` is no key',
    async (key) => {
      const answer = await ask(QUESTION, key)
      const isTrimmed = key === '"a" '
      expect(answer.status).toBe(isTrimmed ? 200 : 400)
      if (!isTrimmed) expect(answer.body).toContain('idempotency-key')
    },
  )
})

test('in front of an API the key is its client’s, and says nothing here', async () => {
  const headers: [string, string][] = [
    ['x-warder-gateway-key', GATEWAY_KEY],
    ['x-forwarded-method', 'GET'],
    ['idempotency-key', '"k"'],
  ]
  const call = (uri: string) =>
    request(pdp.port, 'GET', '/forward-auth', [...headers, ['x-forwarded-uri', uri]])
  const [first, second] = [await call('/repos'), await call('/repos')]
  expect(header(second, 'x-decision-id')).not.toBe(header(first, 'x-decision-id'))
  expect((await call('/other')).status).toBe(401)
  expect(world.rows).toHaveLength(3)
})

describe('what is remembered is bounded', () => {
  const wire = (key: string): WireRequest => ({
    method: 'POST',
    rawUrl: '/v1/decide',
    rawHeaders: ['idempotency-key', `"${key}"`],
    body: new Uint8Array(),
    peer: '',
  })
  const decisions = (count: number) =>
    Array.from({ length: count }, (_, i): [number, Decision] => [i, { id: `${i}` } as Decision])

  test.each([
    ['by keys', 2, 1_000],
    ['by decisions', 1_000, 6],
  ])('%s: the oldest goes, and is then decided anew', async (_what, keysMax, decisionsMax) => {
    const memory = createIdempotency(keysMax, decisionsMax)
    const seen: number[] = []
    const run = (key: string) =>
      memory.run({ gateway: GATEWAY, wire: wire(key), now: NOON }, async (attempt) => {
        const decided = attempt.ok ? attempt.value?.decided : undefined
        seen.push(decided?.size ?? -1)
        for (const [position, each] of decisions(3)) decided?.set(position, each)
      })
    for (const key of ['a', 'b', 'b', 'c', 'b', 'a']) await run(key)
    expect(seen).toEqual([0, 0, 3, 0, 3, 0])
  })

  test('one that comes while the first is under way waits for what that decides', async () => {
    const memory = createIdempotency()
    const asked = { gateway: GATEWAY, wire: wire('a'), now: NOON }
    const order: string[] = []
    let end = (): void => undefined
    const first = memory.run(asked, async (attempt) => {
      order.push('first begins')
      await new Promise<void>((resolve) => {
        end = resolve
      })
      if (attempt.ok) for (const [position, each] of decisions(1)) attempt.value?.decided.set(position, each)
      order.push('first ends')
    })
    const second = memory.run(asked, async (attempt) => {
      order.push(`second knows ${attempt.ok ? attempt.value?.decided.size : 'nothing'}`)
    })
    await memory.run({ ...asked, wire: wire('b') }, async () => void order.push('another does not wait'))
    end()
    await Promise.all([first, second])
    expect(order).toEqual(['first begins', 'another does not wait', 'first ends', 'second knows 1'])
  })

  test('one that failed does not hold up the next', async () => {
    const memory = createIdempotency()
    const asked = { gateway: GATEWAY, wire: wire('a'), now: NOON }
    await expect(memory.run(asked, () => Promise.reject(new Error('boom')))).rejects.toThrow('boom')
    await memory.run(asked, async (attempt) => expect(attempt.ok).toBe(true))
    expect.assertions(2)
  })
})
