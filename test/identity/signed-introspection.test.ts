import { SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createIntrospect } from '#identity/introspect.ts'
import { createKeySets } from '#identity/key-sets.ts'
import type { OutboundRequest } from '#identity/outbound.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Issuer } from '#model/issuer.ts'
import {
  claims,
  ISSUER,
  issuer,
  makeKey,
  NOW_SECONDS,
  type SigningKey,
  tenantWith,
} from '../support/tokens.ts'

const OURS = 'warder'
const TOKEN = 'o'.repeat(43)
const NOW = (NOW_SECONDS * 1000) as EpochMilliseconds

let key: SigningKey
let foreign: SigningKey
beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
  foreign = await makeKey('ES256', 'k1')
})

/** What the issuer answers; everything that a case does not change is as RFC 9701 wants it. */
interface Answered {
  readonly payload?: object
  readonly header?: object
  /** Default: the issuer. */
  readonly by?: 'somebody else'
  readonly contentType?: string
  readonly issuer?: Partial<Issuer>
}

async function ask({ payload, header, by, contentType, ...more }: Answered = {}) {
  const { iss: _, ...inside } = claims()
  const all = {
    iss: ISSUER,
    aud: OURS,
    iat: NOW_SECONDS,
    token_introspection: { active: true, ...inside },
    ...payload,
  }
  const body = await new SignJWT(
    Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
  )
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'token-introspection+jwt', ...header })
    .sign((by === undefined ? key : foreign).privateKey)
  const sent: OutboundRequest[] = []
  const faults: string[] = []
  const introspect = createIntrospect({
    send: async (request) => {
      sent.push(request)
      return { status: 200, contentType: contentType ?? 'application/token-introspection+jwt', body }
    },
    openSecret: () => 'secret',
    keys: createKeySets({
      clock: () => NOW,
      fetch: () => Promise.reject(new Error('the keys are known')),
      onFault: () => undefined,
    }),
    onFault: (_issuer, cause) => faults.push(cause),
  })
  const registered = issuer([key], {
    introspection: {
      url: 'https://idp.example/introspect',
      clientId: OURS,
      authentication: 'client_secret_basic',
      secret: 'secret',
      signed: true,
      cacheSecondsMax: 30,
    },
    ...more.issuer,
  })
  return { outcome: await introspect(TOKEN, tenantWith([registered]), NOW), sent, faults }
}

const UNAVAILABLE = { ok: false, failure: { code: 'token.introspection_unavailable' } }

test('an answer that its issuer signed for us counts, and the token is asked about in the body alone', async () => {
  const { outcome, sent } = await ask()
  expect(outcome).toMatchObject({ ok: true, value: { payload: { sub: 'alice', client_id: 'agent-1' } } })
  expect(sent).toHaveLength(1)
  expect(sent[0]).toMatchObject({ method: 'POST', url: 'https://idp.example/introspect' })
  expect(new URLSearchParams(sent[0]?.body).get('token')).toBe(TOKEN)
  expect(JSON.stringify([sent[0]?.url, sent[0]?.headers])).not.toContain(TOKEN)
})

test.each<[string, Answered]>([
  ['for somebody else', { payload: { aud: 'other' } }],
  ['for us and somebody else', { payload: { aud: [OURS, 'other'] } }],
  ['for nobody', { payload: { aud: undefined } }],
  ['of another issuer', { payload: { iss: 'https://evil.example' } }],
  ['of no issuer', { payload: { iss: undefined } }],
  ['that is old', { payload: { iat: NOW_SECONDS - 91 } }],
  ['from the future', { payload: { iat: NOW_SECONDS + 91 } }],
  ['without a date', { payload: { iat: undefined } }],
  ['whose date is text', { payload: { iat: String(NOW_SECONDS) } }],
  ['that has a subject of its own', { payload: { sub: 'alice' } }],
  ['that has an end of its own', { payload: { exp: NOW_SECONDS + 60 } }],
  ['without what it answers', { payload: { token_introspection: undefined } }],
  ['whose answer is a list', { payload: { token_introspection: [{ active: true }] } }],
  ['whose answer is text', { payload: { token_introspection: '{"active":true}' } }],
  ['of another type', { header: { typ: 'at+jwt' } }],
  ['without a type', { header: { typ: undefined } }],
  ['of another key', { header: { kid: 'k2' } }],
  ['that somebody else signed', { by: 'somebody else' }],
  ['with an algorithm that the issuer does not use', { issuer: { algorithms: ['RS256'] } }],
  ['that says it is JSON', { contentType: 'application/json' }],
])('an answer %s is none', async (_what, answered) => {
  const { outcome, faults } = await ask(answered)
  expect(outcome).toMatchObject(UNAVAILABLE)
  expect(faults).toHaveLength(1)
  expect(faults.join()).not.toContain(TOKEN)
})

test.each<[string, unknown]>([
  ['false', false],
  ['text', 'true'],
  ['a number', 1],
  ['absent', undefined],
  ['null', null],
])('`active` that is %s is not active', async (_what, active) => {
  const { outcome } = await ask({ payload: { token_introspection: { ...claims(), active } } })
  expect(outcome).toMatchObject({ ok: false, failure: { code: 'token.inactive' } })
})
