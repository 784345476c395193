import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseIssuer } from '#identity/issuer.ts'
import { sendOutbound } from '#identity/outbound.ts'
import {
  createTokenExchanger,
  type ExchangeQuestion,
  type KeptToken,
  type TokenExchanger,
} from '#identity/token-exchange.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { type ExchangeServer, FORBIDDEN, startExchangeServer } from '../support/exchange-server.ts'

const ACME = 'acme' as TenantId
const API = 'https://payments.example'

let as: ExchangeServer
let faults: string[] = []
let kept: KeptToken[] = []
let keepFails: Error | undefined
/** When the test began; each of them is shorter than an assertion lives. */
let start = 0
let later = 0
let exchanger: TokenExchanger

beforeAll(async () => {
  as = await startExchangeServer()
})
afterAll(() => as.close())
beforeEach(() => {
  faults = []
  kept = []
  keepFails = undefined
  start = Date.now()
  later = 0
  exchanger = createTokenExchanger({
    send: sendOutbound,
    openSecret: (_, issuer) => issuer.tokenExchange?.secret,
    keep: async (token) => {
      if (keepFails !== undefined) throw keepFails
      kept.push(token)
    },
    onFault: (_, cause) => faults.push(cause),
    millisecondsMax: 30_000,
  })
})
afterEach(() => as.break(undefined))

function registered(more: object = {}): Issuer {
  const parsed = parseIssuer(as.file(more))
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  return parsed.value
}

function question(subject: string, more: Partial<ExchangeQuestion> = {}): ExchangeQuestion {
  const now = (start + later) as EpochMilliseconds
  const { issuer = registered() } = more
  if (issuer.tokenExchange === undefined) throw new Error('no exchange')
  return {
    tenant: ACME,
    issuer,
    exchange: issuer.tokenExchange,
    audience: API,
    subject: new Hidden(subject),
    subjectExpiresAt: (now / 1000 + 300) as EpochSeconds,
    subjectIssuedAt: undefined,
    dependencies: [{ kind: 'session', id: `${as.issuer}|s-1` }],
    crossings: [],
    endsAt: undefined,
    now,
    ...more,
  }
}

/** So many seconds after the start. */
const at = (seconds: number) => (start / 1000 + seconds) as EpochSeconds
const stopped = (code: string) => ({ ok: false, failure: { code } })

async function exchanged(asked: ExchangeQuestion): Promise<{ token: string; cached: boolean }> {
  const outcome = await exchanger.exchange(asked)
  if (!outcome.ok) throw new Error(`${outcome.failure.code}: ${faults.join()}`)
  return { token: outcome.value.token.reveal(), cached: outcome.value.cached }
}

/** How often the server was asked for an exchange while `run` ran. */
async function asked(run: () => Promise<unknown>): Promise<number> {
  const before = as.exchanges.length
  await run()
  return as.exchanges.length - before
}

test('a real server exchanges the token for another one, for the audience, scope and resource that were asked for', async () => {
  const subject = await as.token('agent-1', 'alice')
  const { token } = await exchanged(question(subject, { scope: 'pay', resource: 'https://r.example/' }))
  expect(token).not.toBe(subject)
  expect(await as.isActive(token)).toBe(true)
  const seen = { audience: API, scope: 'pay', resource: 'https://r.example/', actor: undefined, subject }
  expect(as.exchanges.at(-1)).toEqual({ ...seen, issued: token })
  expect(kept).toMatchObject([{ tenant: ACME, issuer: as.issuer, endsAt: undefined }])
})

test('the token is sent as that of the actor too where the issuer file says so', async () => {
  const subject = await as.token('agent-1', 'alice')
  await exchanged(question(subject, { issuer: registered({ actor_token: true }) }))
  expect(as.exchanges.at(-1)).toMatchObject({ subject, actor: subject })
})

test('a client secret proves us as well, and without a place to revoke at nothing is remembered', async () => {
  as.break((response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(ANSWER))
  })
  const issuer = registered({ authentication: 'client_secret_basic', secret: 's', revocation_url: undefined })
  expect(await exchanged(question(await as.token('a', 'u'), { issuer }))).toMatchObject({ token: 'other' })
  expect(kept).toEqual([])
})

describe('the cache', () => {
  test('gives the token again for the same question only, and asks once for many at a time', async () => {
    const subject = await as.token('agent-1', 'alice')
    const count = await asked(() =>
      Promise.all(Array.from({ length: 5 }, () => exchanged(question(subject)))),
    )
    expect(count).toBe(1)
    expect((await exchanged(question(subject))).cached).toBe(true)
    const others: ExchangeQuestion[] = [
      question(await as.token('agent-1', 'alice')),
      question(subject, { audience: 'https://other.example' }),
      question(subject, { scope: 'pay' }),
      question(subject, { resource: 'https://r.example/' }),
      question(subject, { tenant: 'globex' as TenantId }),
      question(subject, { issuer: registered({ actor_token: true }) }),
      question(subject, { dependencies: [{ kind: 'session', id: `${as.issuer}|s-2` }] }),
      question(subject, { dependencies: [{ kind: 'task', id: 't-1' }] }),
      question(subject, { crossings: ['globex' as TenantId] }),
    ]
    for (const other of others) expect((await exchanged(other)).cached).toBe(false)
  })

  test.each<[string, () => Partial<ExchangeQuestion>, number]>([
    ['the exchanged token', () => ({ subjectExpiresAt: at(9_999) }), 596_000],
    ['the subject token', () => ({ subjectExpiresAt: at(300) }), 301_000],
    ['the grant that it rests on', () => ({ endsAt: at(60) }), 61_000],
  ])('holds nothing beyond the end of %s', async (_, ends, milliseconds) => {
    const more = ends()
    const subject = await as.token('agent-1', 'alice')
    expect((await exchanged(question(subject, more))).cached).toBe(false)
    later = milliseconds - 30_000
    expect((await exchanged(question(subject, more))).cached).toBe(true)
    later = milliseconds
    expect((await exchanged(question(subject, more))).cached).toBe(false)
  })

  test('drops what is revoked and nothing else, whichever tenant it is of', async () => {
    const subject = await as.token('agent-1', 'alice')
    const isCached = async () => (await exchanged(question(subject))).cached
    await isCached()
    exchanger.forget(ACME, [{ kind: 'session', id: 'other' }])
    exchanger.forget('globex' as TenantId, [{ kind: 'session', id: `${as.issuer}|s-1` }])
    expect(await isCached()).toBe(true)
    exchanger.forget(ACME, [{ kind: 'session', id: `${as.issuer}|s-1` }])
    expect(await isCached()).toBe(false)
    exchanger.forget(null, [{ kind: 'session', id: `${as.issuer}|s-1` }])
    expect(await isCached()).toBe(false)
    exchanger.forgetAll()
    expect(await isCached()).toBe(false)
    expect(exchanger.stats().entries).toBe(1)
  })

  test('drops what the tenant has revoked that sent the agent', async () => {
    const subject = await as.token('agent-1', 'alice')
    const crossings = ['globex' as TenantId]
    const isCached = async () => (await exchanged(question(subject, { crossings }))).cached
    await isCached()
    expect(await isCached()).toBe(true)
    exchanger.forget('globex' as TenantId, [{ kind: 'session', id: `${as.issuer}|s-1` }])
    expect(await isCached()).toBe(false)
    expect(kept.at(-1)).toMatchObject({ crossings })
  })

  test('keeps nothing that something was revoked under while it was asked for', async () => {
    const subject = await as.token('agent-1', 'alice')
    const under = exchanged(question(subject))
    exchanger.forget(ACME, [{ kind: 'session', id: `${as.issuer}|s-1` }])
    await under
    expect((await exchanged(question(subject))).cached).toBe(false)
  })
})

test('a refusal denies with its error code in the detail, is remembered for 5 seconds, and repeats no token', async () => {
  const subject = await as.token('agent-1', 'alice')
  const refused = () => exchanger.exchange(question(subject, { audience: FORBIDDEN }))
  const count = await asked(async () => {
    expect(await refused()).toMatchObject({
      ok: false,
      failure: { code: 'exchange.refused', detail: 'invalid_target' },
    })
    expect(JSON.stringify(await refused())).not.toContain(subject)
  })
  expect(count).toBe(1)
  later = 5_001
  expect(await asked(refused)).toBe(1)
})

test('a server that fails three times is left alone for a while', async () => {
  const subject = await as.token('agent-1', 'alice')
  let count = 0
  as.break((response) => {
    count += 1
    response.writeHead(503).end(subject)
  })
  for (let i = 0; i < 10; i++)
    expect(await exchanger.exchange(question(subject))).toMatchObject(stopped('exchange.unavailable'))
  expect(count).toBe(3)
  expect(faults.join()).not.toContain(subject)
  as.break(undefined)
  later = 5_001
  expect((await exchanged(question(subject))).cached).toBe(false)
})

test.each<[string, number, object]>([
  ['with more scopes than were asked for', 200, { scope: 'pay admin' }],
  ['with a token too long for a header', 200, { access_token: 'a'.repeat(7_000) }],
  ['longer than any token', 200, { access_token: 'a'.repeat(70_000) }],
  ['that is not found', 404, {}],
])('answers %s about the token of one leave the others their exchanges', async (_, status, odd) => {
  as.break((response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ ...ANSWER, ...odd }))
  })
  const [one, other] = [await as.token('agent-1', 'mallory'), await as.token('agent-2', 'alice')]
  for (let i = 0; i < 4; i++)
    expect(await exchanger.exchange(question(one, { scope: 'pay' }))).toMatchObject(
      stopped('exchange.unavailable'),
    )
  as.break(undefined)
  expect((await exchanged(question(other))).cached).toBe(false)
})

test.each([429, 500, 503])('answers %i leave the server alone for a while', async (status) => {
  let count = 0
  as.break((response) => {
    count += 1
    response.writeHead(status).end()
  })
  for (let i = 0; i < 5; i++) await exchanger.exchange(question(await as.token(`agent-${i}`, 'alice')))
  expect(count).toBe(3)
})

test('a server that does not answer denies within the time', async () => {
  const impatient = createTokenExchanger({
    send: sendOutbound,
    openSecret: (_, issuer) => issuer.tokenExchange?.secret,
    keep: async () => undefined,
    onFault: (_, cause) => faults.push(cause),
    millisecondsMax: 50,
  })
  as.break(() => undefined)
  expect(await impatient.exchange(question(await as.token('agent-1', 'alice')))).toMatchObject(
    stopped('exchange.unavailable'),
  )
})

test('a token that could not be remembered is not handed out, and ended at once', async () => {
  keepFails = new Error('the database is away')
  const subject = await as.token('agent-1', 'alice')
  expect(await exchanger.exchange(question(subject))).toMatchObject(stopped('exchange.unavailable'))
  const { issued = '' } = as.exchanges.at(-1) ?? {}
  await expect.poll(() => as.isActive(issued), { timeout: 30_000 }).toBe(false)
})

const ANSWER = {
  access_token: 'other',
  issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  token_type: 'Bearer',
  expires_in: 60,
}

test.each<[string, object]>([
  ['of another kind', { issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
  ['of no kind', { issued_token_type: undefined }],
  ['that is no bearer token', { token_type: 'DPoP' }],
  ['that is no access token', { token_type: 'N_A' }],
  ['without a token', { access_token: undefined }],
  ['with an empty token', { access_token: '' }],
  ['with a line break in the token', { access_token: 'a\r\nx-warder-user: root' }],
  ['with a blank in the token', { access_token: 'a b' }],
  ['with a token too long for a header', { access_token: 'a'.repeat(7_000) }],
  ['with more scopes than were asked for', { scope: 'pay admin' }],
  ['with scopes that are no text', { scope: ['pay'] }],
  ['that lives for no time', { expires_in: 0 }],
  ['that lives for a text', { expires_in: '60' }],
  ['that lives for a fraction', { expires_in: 0.5 }],
])('an answer %s denies', async (_, odd) => {
  as.break((response) => {
    const body = JSON.stringify({ ...ANSWER, ...odd })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
  const asking = question(await as.token('agent-1', 'alice'), { scope: 'pay' })
  expect(await exchanger.exchange(asking)).toMatchObject(stopped('exchange.unavailable'))
})

test('the very token that was to be exchanged is no answer', async () => {
  const subject = await as.token('agent-1', 'alice')
  as.break((response) => {
    const body = JSON.stringify({ ...ANSWER, access_token: subject })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
  expect(await exchanger.exchange(question(subject))).toMatchObject(stopped('exchange.unavailable'))
  expect(faults.join()).not.toContain(subject)
})

test.each<[string, number, string, string]>([
  ['redirects', 302, 'application/json', JSON.stringify(ANSWER)],
  ['answers in HTML', 200, 'text/html', JSON.stringify(ANSWER)],
  ['names a member twice', 200, 'application/json', '{"access_token":"a","access_token":"b"}'],
])('a server that %s denies', async (_, status, type, body) => {
  as.break((response) => response.writeHead(status, { 'content-type': type }).end(body))
  expect(await exchanger.exchange(question(await as.token('agent-1', 'alice')))).toMatchObject(
    stopped('exchange.unavailable'),
  )
})

test('a token of unknown life serves one call', async () => {
  as.break((response) => {
    const body = JSON.stringify({ ...ANSWER, expires_in: undefined })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
  const issuer = registered({ revocation_url: undefined })
  const asking = question(await as.token('agent-1', 'alice'), { issuer })
  expect((await exchanged(asking)).cached).toBe(false)
  expect((await exchanged(asking)).cached).toBe(false)
})

test('a token of unknown life that could be ended is refused and ended at once, and not asked for at each call', async () => {
  const paths: string[] = []
  as.break((response, path) => {
    paths.push(path)
    const body = JSON.stringify({ ...ANSWER, expires_in: undefined })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
  const asking = question(await as.token('agent-1', 'alice'))
  for (let i = 0; i < 3; i++)
    expect(await exchanger.exchange(asking)).toMatchObject({
      failure: { code: 'exchange.refused', detail: expect.stringContaining('`expires_in`') },
    })
  await expect.poll(() => paths, { timeout: 30_000 }).toEqual(['/token', '/token/revocation'])
  expect(kept).toEqual([])
})

test('a token is remembered until its own end, however long that of the agent lives', async () => {
  const asking = question(await as.token('agent-1', 'alice'), { subjectExpiresAt: at(9_999) })
  const outcome = await exchanger.exchange(asking)
  if (!outcome.ok) throw new Error(outcome.failure.code)
  expect(kept.map(({ expiresAt }) => expiresAt)).toEqual([outcome.value.expiresAt])
})

test('a hidden text shows itself to no printer', () => {
  const hidden = new Hidden('hunter2-hunter2')
  for (const shown of [JSON.stringify({ hidden }), `${hidden}`, String(hidden), inspect(hidden)])
    expect(shown).not.toContain('hunter2')
})
