import { beforeAll, describe, expect, test } from 'vitest'
import { createKeySets } from '#identity/key-sets.ts'
import type { SecurityEvent } from '#identity/set.ts'
import type { SignalEffect } from '#signals/effects.ts'
import { createReceiveSet, type SignalStore } from '#signals/receive.ts'
import type { SignalStream } from '#signals/stream.ts'
import { makeKey, type SigningKey, TENANT } from '../support/tokens.ts'
import {
  ALICE,
  AUTHORIZATION,
  NOW,
  RECEIVER,
  SECOND,
  setClaims,
  signSet,
  streamOf,
  TRANSMITTER,
} from './vectors.ts'

let key: SigningKey
let other: SigningKey
beforeAll(async () => {
  ;[key, other] = await Promise.all([makeKey('ES256', 'k-1'), makeKey('ES256', 'k-1')])
})

interface Stored {
  readonly event: SecurityEvent
  readonly effects: readonly SignalEffect[]
}

/** Pushes one token to a stream; gives the answer and what was stored. */
async function push(text: string, stream: object = {}, authorization: string | undefined = AUTHORIZATION) {
  const found = streamOf(TENANT, key, stream)
  const stored: Stored[] = []
  const store: SignalStore = {
    findStream: async (id) => (id === found.id ? found : undefined),
    apply: async (_stream: SignalStream, event, effects) => {
      stored.push({ event, effects })
      return 'applied'
    },
  }
  const keys = createKeySets({
    clock: () => NOW,
    fetch: () => Promise.reject(new Error('no network')),
    onFault: () => undefined,
  })
  const receive = createReceiveSet({ store, keys, clock: () => NOW })
  return { answer: await receive(found.id, authorization, text), stored }
}

async function effects(event: string, subject: object, payload: object = {}, stream: object = {}) {
  const { answer, stored } = await push(await signSet(key, setClaims(event, subject, payload)), stream)
  return answer.ok ? stored[0]?.effects : answer.failure.err
}

const epoch = (issuedBefore: number) => ({ issuedBefore })
const subject = (id: string) => ({ kind: 'subject', id }) as const
const at = { event_timestamp: SECOND - 100 }

describe('each event does what the table says:', () => {
  test.each([
    ['caep:session-revoked', ALICE, at, subject(`${TRANSMITTER}|alice`), epoch(SECOND - 99)],
    [
      'caep:session-revoked',
      { format: 'opaque', id: 's-1' },
      at,
      { kind: 'session', id: `${TRANSMITTER}|s-1` },
      {},
    ],
    [
      'caep:token-claims-change',
      { format: 'jwt_id', iss: TRANSMITTER, jti: 't-1' },
      at,
      { kind: 'token', id: `${TRANSMITTER}|t-1` },
      {},
    ],
    [
      'caep:credential-change',
      ALICE,
      { ...at, change_type: 'revoke' },
      subject(`${TRANSMITTER}|alice`),
      epoch(SECOND - 99),
    ],
    [
      'caep:assurance-level-change',
      ALICE,
      { ...at, change_direction: 'decrease' },
      subject(`${TRANSMITTER}|alice`),
      epoch(SECOND - 99),
    ],
    [
      'caep:device-compliance-change',
      ALICE,
      { ...at, current_status: 'not-compliant' },
      subject(`${TRANSMITTER}|alice`),
      epoch(SECOND - 99),
    ],
    ['risc:account-disabled', ALICE, {}, subject(`${TRANSMITTER}|alice`), {}],
    ['risc:account-purged', ALICE, {}, subject(`${TRANSMITTER}|alice`), {}],
    ['risc:credential-compromise', ALICE, {}, subject(`${TRANSMITTER}|alice`), epoch(SECOND - 4)],
    ['risc:sessions-revoked', ALICE, {}, subject(`${TRANSMITTER}|alice`), epoch(SECOND - 4)],
    ['risc:identifier-changed', ALICE, {}, subject(`${TRANSMITTER}|alice`), epoch(SECOND - 4)],
  ])('%s of %o', async (event, of, payload, target, more) => {
    expect(await effects(event, of, payload)).toEqual([{ do: 'revoke', target, ...more }])
  })

  test('risc:account-enabled takes back what the stream disabled', async () => {
    expect(await effects('risc:account-enabled', ALICE)).toEqual([
      { do: 'enable', target: subject(`${TRANSMITTER}|alice`) },
    ])
  })

  test.each([
    ['caep:credential-change', { change_type: 'create' }],
    ['caep:assurance-level-change', { change_direction: 'increase' }],
    ['caep:device-compliance-change', { current_status: 'compliant' }],
    ['caep:session-established', {}],
    ['https://example.com/other', {}],
  ])('%s %o is stored and revokes nothing', async (event, payload) => {
    expect(await effects(event, ALICE, payload)).toEqual([])
  })

  test('verification and stream-updated are about the stream itself', async () => {
    const self = { format: 'opaque', id: 'stream' }
    expect(await effects('ssf:verification', self, { state: 'x7' })).toEqual([
      { do: 'verified', state: 'x7' },
    ])
    expect(await effects('ssf:verification', self)).toEqual([{ do: 'verified', state: undefined }])
    expect(await effects('ssf:stream-updated', self, { status: 'paused' })).toEqual([
      { do: 'status', status: 'paused' },
    ])
  })
})

describe('a certificate that is revoked', () => {
  const aliceEpoch = { do: 'revoke', target: subject(`${TRANSMITTER}|alice`), ...epoch(SECOND - 4) }
  const revoked = { change_type: 'revoke', x509_issuer: 'CN=ca,O=Acme', x509_serial: '0a:ff' }

  test('a stream that may stop many revokes a certificate by issuer and serial, beside the epoch', async () => {
    expect(await effects('caep:credential-change', ALICE, revoked, { wide: true })).toEqual([
      aliceEpoch,
      { do: 'revoke', target: { kind: 'certificate', id: 'CN=ca,O=Acme|AFF' } },
    ])
  })

  test.each([
    ['a stream of its own subjects alone', revoked, {}],
    ['no issuer', { ...revoked, x509_issuer: undefined }, { wide: true }],
    ['an empty issuer', { ...revoked, x509_issuer: '' }, { wide: true }],
    ['an issuer that is no name', { ...revoked, x509_issuer: 'ca' }, { wide: true }],
    ['no serial', { ...revoked, x509_serial: undefined }, { wide: true }],
    ['a serial that is no number', { ...revoked, x509_serial: '*' }, { wide: true }],
  ])("a revoked certificate with %s is nobody's but the subject's", async (_what, payload, stream) => {
    expect(await effects('caep:credential-change', ALICE, payload, stream)).toEqual([aliceEpoch])
  })
})

describe('the age of an event', () => {
  test.each([
    [30 * 86_400, 1],
    [30 * 86_400 + 1, 0],
  ])('risc:account-enabled that is %i s old has %i effects', async (age, count) => {
    const claims = setClaims('risc:account-enabled', ALICE, {}, { iat: SECOND - age })
    const { stored } = await push(await signSet(key, claims))
    expect(stored[0]?.effects).toHaveLength(count)
  })

  test('risc:account-disabled of any age disables', async () => {
    const claims = setClaims('risc:account-disabled', ALICE, {}, { iat: SECOND - 400 * 86_400 })
    const { stored } = await push(await signSet(key, claims))
    expect(stored[0]?.effects).toHaveLength(1)
  })
})

describe('subjects', () => {
  test('an email is whoever is asserted by it, and who has it at the issuer', async () => {
    expect(await effects('risc:account-disabled', { format: 'email', email: 'a@x.example' })).toEqual([
      { do: 'revoke', target: subject('|a@x.example') },
      { do: 'revoke', target: subject(`${TRANSMITTER}|a@x.example`) },
    ])
  })

  test.each([
    ['session and user: the session', { session: { format: 'opaque', id: 's-1' }, user: ALICE }, 'session'],
    ['user and device: the user', { user: ALICE, device: { format: 'opaque', id: 'd' } }, 'subject'],
  ])('a complex subject of %s, never less than they mean together', async (_name, members, kind) => {
    const found = await effects('caep:session-revoked', { format: 'complex', ...members })
    expect(found).toMatchObject([{ do: 'revoke', target: { kind } }])
  })

  test.each([
    ['the tenant alone', { tenant: { format: 'opaque', id: 'any' } }, 'tenant'],
    ['an application', { application: { format: 'opaque', id: 'portal' } }, 'client'],
  ])('%s needs a stream that may stop many at once', async (_name, members, kind) => {
    const of = { format: 'complex', ...members }
    expect(await effects('caep:session-revoked', of)).toBe('access_denied')
    expect(await effects('caep:session-revoked', of, at, { wide: true })).toMatchObject([
      { do: 'revoke', target: { kind }, issuedBefore: SECOND - 99 },
    ])
  })

  test.each([
    ['iss_sub', { format: 'iss_sub', iss: 'https://other.example', sub: 'alice' }],
    ['jwt_id', { format: 'jwt_id', iss: 'https://other.example', jti: 't' }],
    ['complex', { user: { format: 'iss_sub', iss: 'https://other.example', sub: 'alice' } }],
    [
      'aliases',
      {
        format: 'aliases',
        identifiers: [ALICE, { format: 'iss_sub', iss: 'https://other.example', sub: 'b' }],
      },
    ],
  ])('a subject of another issuer is refused (%s)', async (_format, of) => {
    expect(await effects('caep:session-revoked', of)).toBe('access_denied')
  })

  test.each([
    ['unknown format', { format: 'shoe_size', value: 44 }],
    ['no format', { sub: 'alice' }],
    ['empty id', { format: 'opaque', id: '' }],
    ['id that is no text', { format: 'iss_sub', iss: TRANSMITTER, sub: 7 }],
    ['unknown critical member', { format: 'complex', user: ALICE, planet: {}, critical: ['planet'] }],
    [
      'aliases within aliases',
      { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [ALICE] }] },
    ],
    ['eleven aliases', { format: 'aliases', identifiers: new Array(11).fill(ALICE) }],
    ['complex without a member that we know', { format: 'complex', device: { format: 'opaque', id: 'd' } }],
  ])('a subject with %s is refused', async (_name, of) => {
    expect(await effects('caep:session-revoked', of)).toBe('invalid_request')
  })
})

describe('an epoch never lies in the future', () => {
  test.each([
    ['a year ahead', SECOND + 31_536_000, SECOND + 1],
    ['negative', -5, 1],
    ['no number', 'soon', SECOND - 4],
    ['in milliseconds', SECOND * 1000, SECOND + 1],
  ])('with an event_timestamp that is %s', async (_name, timestamp, issuedBefore) => {
    expect(await effects('caep:session-revoked', ALICE, { event_timestamp: timestamp })).toMatchObject([
      { issuedBefore },
    ])
  })
})

describe('refused, and nothing is stored:', () => {
  const claims = (more: object) => setClaims('caep:session-revoked', ALICE, {}, more)
  test.each([
    ['another issuer', { iss: 'https://evil.example' }, {}, 'invalid_issuer'],
    ['no issuer', { iss: undefined }, {}, 'invalid_issuer'],
    ['another audience', { aud: 'https://else.example' }, {}, 'invalid_audience'],
    ['no audience', { aud: undefined }, {}, 'invalid_audience'],
    ['an access token for one', {}, { typ: 'at+jwt' }, 'invalid_request'],
    ['no type', {}, { typ: undefined }, 'invalid_request'],
    ['an `exp`', { exp: SECOND + 60 }, {}, 'invalid_request'],
    ['a `sub`', { sub: 'alice' }, {}, 'invalid_request'],
    ['no `jti`', { jti: undefined }, {}, 'invalid_request'],
    ['no `iat`', { iat: undefined }, {}, 'invalid_request'],
    ['an `iat` in the future', { iat: SECOND + 61 }, {}, 'invalid_request'],
    ['no subject', { sub_id: undefined }, {}, 'invalid_request'],
    ['no event', { events: {} }, {}, 'invalid_request'],
    ['two events', { events: { a: {}, b: {} } }, {}, 'invalid_request'],
    ['events in a list', { events: [{}] }, {}, 'invalid_request'],
    ['an unknown key', {}, { kid: 'k-2' }, 'invalid_key'],
  ])('%s', async (_name, more, header, err) => {
    const { answer, stored } = await push(await signSet(key, claims(more), header))
    expect([answer.ok ? 'ok' : answer.failure.err, stored.length]).toEqual([err, 0])
  })

  test('the signature of another key with the same name', async () => {
    const { answer } = await push(await signSet(other, claims({})))
    expect(answer).toMatchObject({ ok: false, failure: { err: 'invalid_key' } })
  })

  test('an algorithm that the stream does not accept', async () => {
    const { answer } = await push(await signSet(key, claims({})), { algorithms: ['RS256'] })
    expect(answer).toMatchObject({ ok: false, failure: { err: 'invalid_key' } })
  })

  test('text that is no token', async () => {
    expect((await push('x')).answer).toMatchObject({ failure: { err: 'invalid_request' } })
  })

  test('another or no authorization header, with the bytes of a stream that does not exist', async () => {
    const text = await signSet(key, claims({}))
    const wrong = await push(text, {}, 'Bearer wss_other')
    const none = await push(text, {}, '')
    expect(wrong.answer).toEqual(none.answer)
    expect(wrong.answer).toMatchObject({ failure: { err: 'authentication_failed' } })
    expect(wrong.stored).toEqual([])
  })
})

test('an event for several receivers is taken by each of them', async () => {
  const text = await signSet(
    key,
    setClaims('risc:account-disabled', ALICE, {}, { aud: ['https://x.example', RECEIVER] }),
  )
  expect((await push(text)).answer).toMatchObject({ ok: true })
})
