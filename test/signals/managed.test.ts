import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  changeSubject,
  readStream,
  readStreamStatus,
  requestVerification,
  setStreamStatus,
  updateStream,
} from '#admin/managed-streams.ts'
import { addStream, removeStream } from '#admin/signals.ts'
import type { OutboundRequest } from '#identity/outbound.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { type DueCheck, secondsUntilNext } from '#signals/check-due.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { createTransmitterClient } from '#signals/transmitter-client.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { countStandings, createCheckQueue } from '#store/managed-streams.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openSetupWorld, type SetupWorld } from './setup-world.ts'

const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'
const reason = 'a test'

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const running: SetupWorld[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.close()))
})

/** A stream that is fetched, and waits for its first verification event. */
async function setUp(prepare: (world: SetupWorld) => void = () => undefined) {
  const world = await openSetupWorld(db)
  running.push(world)
  prepare(world)
  const added = await world.add(world.file())
  if (!added.ok) throw new Error(added.failure.message)
  const [[streamId, stream] = []] = [...world.transmitter.streams]
  if (streamId === undefined || stream === undefined) throw new Error('no stream at the transmitter')
  const at = { tenant: world.tenant, name: 'idp' }
  return { ...world, at, streamId, stream, added: added.value, id: added.value.stream }
}

/** Everything of this stream is due, and `seconds` have passed for what it was asked. */
async function later(id: string, seconds: number): Promise<void> {
  await db.owner`update signal_polls set next_at = now() where stream = ${id}::text::uuid`
  await db.owner`update signal_checks set next_at = now() where stream = ${id}::text::uuid`
  await db.owner`
    update signal_verifications set asked_at = asked_at - make_interval(secs => ${seconds}),
      due_at = due_at - make_interval(secs => ${seconds}) where stream = ${id}::text::uuid`
}

describe('a verification event', () => {
  test('that does not come in time makes the stream unverified, until one comes', async () => {
    const { transmitter, listed, polled, checked, id } = await setUp(({ transmitter: { rules } }) => {
      rules.state = null
    })
    expect(await listed()).toMatchObject({ standing: 'waiting', verified_at: null })
    await later(id, 601)
    await polled()
    expect(await listed()).toMatchObject({ standing: 'unverified' })
    expect((await countStandings(db)).get('unverified')).toBe(1)
    delete transmitter.rules.state
    await checked()
    expect(await listed()).toMatchObject({ standing: 'unverified' })
    await later(id, 0)
    await polled()
    expect(await listed()).toMatchObject({ standing: 'healthy', verification_due_at: null })
  })

  test('with a state that nobody asked for is refused as `invalid_state`, and verifies nothing', async () => {
    const { listed, polled, stream } = await setUp(({ transmitter: { rules } }) => {
      rules.state = 'guessed'
    })
    await polled()
    expect(stream.outcomes).toEqual(['invalid_state'])
    expect(await listed()).toMatchObject({ standing: 'waiting', verified_at: null, last_event_at: null })
  })

  test('that answers a question twice is refused the second time', async () => {
    const { transmitter, streamId, polled, listed, stream, id } = await setUp()
    await polled()
    const { verified_state: state } = await listed()
    await transmitter.emit(streamId, `${SSF}verification`, { state })
    await later(id, 0)
    await polled()
    expect(stream.outcomes).toEqual(['acknowledged', 'invalid_state'])
  })

  test('without a state is taken, and answers no question', async () => {
    const { transmitter, streamId, polled, listed, stream } = await setUp(({ transmitter: { rules } }) => {
      rules.state = null
    })
    await transmitter.emit(streamId, `${SSF}verification`, {})
    await polled()
    expect(stream.outcomes).toEqual(['acknowledged'])
    expect(await listed()).toMatchObject({ standing: 'waiting', verified_state: null })
  })

  test.each([
    ['another stream', { format: 'opaque', id: 'st-9' }],
    ['a person', { format: 'email', email: 'st-1@example.com' }],
  ])('about %s is refused', async (_what, subject) => {
    const { transmitter, streamId, polled, stream, listed } = await setUp(({ transmitter: { rules } }) => {
      rules.state = null
    })
    await transmitter.emit(streamId, `${SSF}verification`, {}, subject)
    await transmitter.emit(streamId, `${SSF}stream-updated`, { status: 'disabled' }, subject)
    await polled()
    expect(stream.outcomes).toEqual(['invalid_request', 'invalid_request'])
    expect(await listed()).toMatchObject({ status: 'enabled', verified_at: null })
  })

  test('is asked for on command; a refusal is told and leaves no question open', async () => {
    const { transmitter, at, parts, polled, listed } = await setUp()
    await polled()
    expect(await requestVerification(parts, at)).toMatchObject({
      value: { asked: true, within_seconds: 600 },
    })
    expect(await listed()).toMatchObject({ standing: 'waiting' })
    transmitter.rules.answer = (call, outgoing) => {
      if (call.path !== '/verify') return false
      outgoing.writeHead(429).end()
      return true
    }
    expect(await requestVerification(parts, at)).toMatchObject({
      failure: { code: 'stream.transmitter', message: expect.stringContaining('answered 429') },
    })
    const [{ open } = { open: 0 }] = await db.owner<{ open: number }[]>`
      select count(*)::int as open from signal_verifications`
    expect(open).toBe(1)
  })
})

describe('the status', () => {
  test.each(['paused', 'disabled'])('%s is seen in an event and taken back by one', async (status) => {
    const { transmitter, streamId, polled, listed, id } = await setUp()
    await transmitter.emit(streamId, `${SSF}stream-updated`, { status, reason: 'maintenance' })
    await polled()
    expect(await listed()).toMatchObject({ status, standing: status })
    expect((await countStandings(db)).get(status === 'paused' ? 'paused' : 'disabled')).toBe(1)
    await transmitter.emit(streamId, `${SSF}stream-updated`, { status: 'enabled' })
    await later(id, 0)
    await polled()
    expect(await listed()).toMatchObject({ status: 'enabled', standing: 'healthy' })
  })

  test('is asked for by whichever server comes first, without an event', async () => {
    const { checked, listed, stream, id } = await setUp()
    stream.status = 'paused'
    await later(id, 0)
    await Promise.all([checked(), checked()])
    expect(await listed()).toMatchObject({ status: 'paused', standing: 'paused' })
  })

  test('is set with a reason, which the transmitter and the audit get', async () => {
    const { at, parts, transmitter, listed, tenant } = await setUp()
    const set = await setStreamStatus(parts, { ...at, status: 'paused', reason })
    expect(set).toMatchObject({ value: { status: 'paused', reason } })
    expect(transmitter.calls.at(-1)?.body).toEqual({ stream_id: 'st-1', status: 'paused', reason })
    expect(await listed()).toMatchObject({ status: 'paused' })
    expect(await latestAudit(tenant)).toMatchObject({ target: 'idp', after: { status: 'paused', reason } })
    expect(await readStreamStatus(parts, at)).toMatchObject({ value: { status: 'paused' } })
    expect(await setStreamStatus(parts, { ...at, status: 'gone', reason })).toMatchObject({
      failure: { code: 'stream.invalid' },
    })
    expect(await setStreamStatus(parts, { ...at, status: 'enabled', reason: ' ' })).toMatchObject({
      failure: { code: 'reason.missing' },
    })
  })

  test('that is none there is changes nothing', async () => {
    const { transmitter, streamId, polled, listed, stream } = await setUp(({ transmitter: { rules } }) => {
      rules.state = null
    })
    await transmitter.emit(streamId, `${SSF}stream-updated`, { status: 'perfect' })
    await polled()
    expect(stream.outcomes).toEqual(['invalid_request'])
    expect(await listed()).toMatchObject({ status: 'enabled' })
  })
})

test('a stream that is not there any more, or a transmitter that does not answer, is failing until it is well', async () => {
  const { transmitter, checked, listed, faults, id } = await setUp()
  transmitter.rules.answer = (call, outgoing) => {
    if (call.path !== '/status') return false
    outgoing.writeHead(404).end()
    return true
  }
  await later(id, 0)
  await checked()
  expect(faults).toEqual(['the status endpoint answered 404'])
  expect(await listed()).toMatchObject({ standing: 'failing', check_fault: faults[0] })
  delete transmitter.rules.answer
  await later(id, 0)
  await checked()
  expect(await listed()).toMatchObject({ standing: 'waiting', check_fault: null })
})

test.each([1e13, 1e9, Number.MAX_SAFE_INTEGER])(
  'a transmitter that wants %s seconds between checks puts them off for a day at most',
  async (min_verification_interval) => {
    const { added, checked, faults, id } = await setUp(({ transmitter: { rules } }) => {
      rules.configuration = { min_verification_interval }
    })
    expect(added).toMatchObject({ check_fault: null })
    await later(id, 0)
    expect(await checked()).toBe(1)
    expect(faults).toEqual([])
    const [next] = await db.owner`
      select next_at between now() + interval '1 hour' and now() + interval '1 day' as "isSoon"
      from signal_checks where stream = ${id}::text::uuid`
    expect(next).toEqual({ isSoon: true })
  },
)

test('of one tenant few streams are checked at once, so that it delays no other', async () => {
  const [many, other] = [await setUp(), await setUp()]
  for (const name of ['two', 'three', 'four'])
    await addStream(many.parts, { tenant: many.tenant, name, text: many.file() })
  const due = async () => {
    await db.owner`
      update signal_checks c set next_at = now() - case when s.tenant = ${many.tenant} then interval '2 s' else interval '1 s' end
      from signal_streams s where s.stream = c.stream`
  }
  const queue = createCheckQueue(db)
  const tenantsOf = (leased: readonly DueCheck[]) => leased.map(({ tenant }) => tenant).toSorted()
  await due()
  const leased = await queue.lease(3, { eachMax: 2, except: [] })
  expect(tenantsOf(leased)).toEqual([many.tenant, many.tenant, other.tenant].toSorted())
  await due()
  const underWay = new Set(leased.filter(({ tenant }) => tenant === many.tenant))
  const seen: number[] = []
  other.transmitter.rules.answer = () => {
    seen.push(underWay.size)
    return false
  }
  expect(await other.checked(underWay)).toBe(1)
  expect(new Set(seen)).toEqual(new Set([3]))
  expect(underWay.size).toBe(2)
  for (const name of ['two', 'three', 'four']) await many.parts.store.removeStream(many.tenant, name)
})

test('what is changed at a transmitter is in the audit before; without that it is not changed', async () => {
  const { at, parts, transmitter, tenant } = await setUp()
  const calls = transmitter.calls.length
  const store = { ...parts.store, recordManaged: () => Promise.reject(new Error('no database')) }
  const silent = { ...parts, store }
  await expect(setStreamStatus(silent, { ...at, status: 'paused', reason })).rejects.toThrow('no database')
  await expect(removeStream(silent, { ...at, reason, onlyHere: false })).rejects.toThrow('no database')
  expect(transmitter.calls.length).toBe(calls)
  transmitter.rules.answer = (_call, outgoing) => {
    outgoing.writeHead(503).end()
    return true
  }
  const refused = { ok: false, failure: { code: 'stream.transmitter' } }
  expect(await setStreamStatus(parts, { ...at, status: 'paused', reason })).toMatchObject(refused)
  expect(await latestAudit(tenant)).toMatchObject({ after: { status: 'paused', reason, done: false } })
  expect(await removeStream(parts, { ...at, reason, onlyHere: false })).toMatchObject(refused)
  expect(await latestAudit(tenant)).toMatchObject({ after: { removed: true, reason, done: false } })
  delete transmitter.rules.answer
  await setStreamStatus(parts, { ...at, status: 'paused', reason })
  expect(await latestAudit(tenant)).toMatchObject({ after: { status: 'paused', reason, done: true } })
})

test('the configuration is shown without the header of pushes, and its events and description change', async () => {
  const { at, parts, transmitter, tenant } = await setUp()
  transmitter.rules.configuration = {
    delivery: {
      method: 'urn:ietf:rfc:8936',
      endpoint_url: 'https://x.example/',
      authorization_header: 'Bearer s',
    },
  }
  const shown = await readStream(parts, at)
  expect(shown).toMatchObject({ value: { stream_id: 'st-1', delivery: { method: 'urn:ietf:rfc:8936' } } })
  expect(JSON.stringify(shown)).not.toContain('Bearer s')
  const events = ['https://schemas.openid.net/secevent/caep/event-type/session-revoked']
  const changed = await updateStream(parts, { ...at, reason, events, description: 'ours' })
  expect(changed).toMatchObject({ value: { events_delivered: events, description: 'ours' } })
  expect(await latestAudit(tenant)).toMatchObject({ after: { events_requested: events, reason } })
  for (const wrong of [{ events: [] }, { events: undefined }, { events: ['no url'] }])
    expect(await updateStream(parts, { ...at, reason, description: undefined, ...wrong })).toMatchObject({
      failure: { code: 'stream.invalid' },
    })
})

test('an answer about another stream or issuer is not believed', async () => {
  const { at, parts, transmitter } = await setUp()
  for (const [configuration, expected] of [
    [{ stream_id: 'st-9' }, 'about another stream'],
    [{ iss: 'https://evil.example' }, 'another issuer'],
  ] as const) {
    transmitter.rules.configuration = configuration
    expect(await readStream(parts, at)).toMatchObject({
      failure: { message: expect.stringContaining(expected) },
    })
  }
})

test('subjects are added and removed where the transmitter lets receivers choose', async () => {
  const { at, parts, transmitter, tenant } = await setUp()
  const subject = { format: 'email', email: 'ann@example.com' }
  for (const change of ['add', 'remove'] as const) {
    const told = await changeSubject(parts, { ...at, change, subject, reason })
    expect(told).toMatchObject({ value: { done: true } })
    expect(transmitter.calls.at(-1)).toMatchObject({
      path: `/subjects/${change}`,
      body: { stream_id: 'st-1', subject },
    })
    expect(await latestAudit(tenant)).toMatchObject({ after: { subject: change, reason } })
  }
  const noSubject = await changeSubject(parts, { ...at, change: 'add', subject: {}, reason })
  expect(noSubject).toMatchObject({ failure: { code: 'stream.invalid' } })
})

test('what a transmitter does not offer is said', async () => {
  const { at, parts } = await setUp(({ transmitter: { rules } }) => {
    rules.metadata = { add_subject_endpoint: undefined, verification_endpoint: undefined }
  })
  const subject = { format: 'email', email: 'ann@example.com' }
  for (const done of [
    await changeSubject(parts, { ...at, change: 'add', subject, reason }),
    await requestVerification(parts, at),
  ])
    expect(done).toMatchObject({
      failure: { message: expect.stringMatching(/the transmitter has no [\w-]+ endpoint/) },
    })
})

test('a stream is removed at its transmitter first; where that fails, only if here alone is asked for', async () => {
  const { at, parts, transmitter, listed, tenant } = await setUp()
  transmitter.rules.answer = (call, outgoing) => {
    if (call.method !== 'DELETE') return false
    outgoing.writeHead(503).end()
    return true
  }
  const request = { ...at, reason, onlyHere: false }
  expect(await removeStream(parts, request)).toMatchObject({
    failure: { code: 'stream.transmitter', help: expect.stringContaining('--only-here') },
  })
  expect(await listed()).toMatchObject({ name: 'idp' })
  delete transmitter.rules.answer
  expect(await removeStream(parts, request)).toMatchObject({ ok: true })
  expect(transmitter.streams.size).toBe(0)
  expect(await latestAudit(tenant)).toMatchObject({ after: { removed: true, reason } })
  expect(await removeStream(parts, request)).toMatchObject({ failure: { code: 'stream.unknown' } })
})

test('a stream that was set up by hand is not managed from here', async () => {
  const { parts, tenant, add, transmitter } = await openedByHand()
  const at = { tenant, name: 'idp' }
  expect(add).toMatchObject({ ok: true })
  expect(await readStream(parts, at)).toMatchObject({ failure: { code: 'stream.unmanaged' } })
  expect(await readStream(parts, { ...at, name: 'other' })).toMatchObject({
    failure: { code: 'stream.unknown' },
  })
  expect(transmitter.calls).toEqual([])
})

async function openedByHand() {
  const world = await openSetupWorld(db)
  running.push(world)
  const jwks_uri = `${world.transmitter.origin}/jwks`
  const file = {
    issuer: world.transmitter.issuer,
    audience: 'https://w.example',
    jwks_uri,
    private_network: true,
  }
  return { ...world, add: await world.add(JSON.stringify(file)) }
}

async function latestAudit(tenant: TenantId) {
  const [row] = await createAdminStore(db).listAudit({ tenants: [tenant] }, { limit: 1 })
  return row
}

test('a client that proves itself by a certificate shows it with its access tokens too', async () => {
  const sent: OutboundRequest[] = []
  const send = async (request: OutboundRequest) => {
    sent.push(request)
    const body = request.url.endsWith('/token')
      ? { access_token: 'bound', token_type: 'Bearer' }
      : { stream_id: 's', status: 'enabled' }
    return { status: 200, contentType: 'application/json', body: JSON.stringify(body) }
  }
  const client = createTransmitterClient(send, createTransmitterTokens(send, systemClock))
  const endpoints = { configuration: 'https://t.example/streams', status: 'https://t.example/status' }
  const tokenUrl = 'https://t.example/token'
  const access = { tokenUrl, clientId: 'warder', authentication: 'tls_client_auth' } as const
  const management = { streamId: 's', endpoints, client: access, secret: 'PEM' }
  await client.status({ id: 'x', issuer: 'https://t.example', privateNetwork: false, management })
  expect(sent.map(({ url, tls }) => [url, tls])).toEqual([
    [tokenUrl, { cert: 'PEM', key: 'PEM' }],
    ['https://t.example/status?stream_id=s', { cert: 'PEM', key: 'PEM' }],
  ])
})

test.each([
  ['an hour', {}, {}, undefined, 3_600],
  ['half the time after which the transmitter ends it', { inactivitySeconds: 600 }, {}, undefined, 300],
  ['five minutes while a verification event is overdue', {}, { overdue: true }, undefined, 300],
  ['no sooner than the transmitter allows', { verificationSecondsMin: 7_200 }, {}, undefined, 7_200],
  ['a minute after a failure', {}, {}, 'refused', 60],
  ['longer after more failures', {}, { failures: 2 }, 'refused', 240],
  ['a quarter of an hour at most', {}, { failures: 90 }, 'refused', 900],
])('the next check comes after %s', (_what, management, more, fault, expected) => {
  const endpoints = { configuration: 'https://x.example/' }
  const stream = {
    management: { streamId: 's', endpoints, secret: '', ...management },
    failures: 0,
    overdue: false,
  }
  expect(secondsUntilNext({ ...stream, ...more }, fault)).toBe(expected)
})
