import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createSealing } from '#admin/sealing.ts'
import { addStream } from '#admin/signals.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createSetSigner, newSetKey } from '#identity/set-signer.ts'
import { systemClock, toSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { createPollStream, type Polled } from '#signals/poll.ts'
import { type DueStream, pollDue } from '#signals/poll-due.ts'
import type { PollSource } from '#signals/poll-source.ts'
import { createReceiveSet } from '#signals/receive.ts'
import { caepEvent } from '#signals/transmit.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { createTransmitterClient } from '#signals/transmitter-client.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createPollQueue } from '#store/polls.ts'
import { createSignalAdminStore, createSignalStore } from '#store/signals.ts'
import { openPollSecret } from '#store/stream-secrets.ts'
import { wirePolls } from '#wire/polls.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'
import { makeKey } from '../support/tokens.ts'
import { json, startTransmitter } from '../support/transmitter.ts'
import { streamOf } from './vectors.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const SELF = 'https://other-warder.example'
const sealing = createSealing([new Uint8Array(32).fill(5)])
const openSealing = async () => sealing

let db: TestDatabase
let signer: Awaited<ReturnType<typeof createSetSigner>>
beforeAll(async () => {
  db = await openTestDatabase()
  signer = await createSetSigner(SELF, await newSetKey())
})
afterAll(() => db.close())

const running: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.close()))
})

const CLIENT = createTransmitterClient(sendOutbound, createTransmitterTokens(sendOutbound, systemClock))
const streams = () => createSignalAdminStore(db, ACTOR, openSealing)

/** A tenant with a stream that is fetched from a transmitter, registered from a file as an administrator does. */
async function opened(more: object = {}) {
  const transmitter = await startTransmitter()
  running.push(transmitter)
  const tenant = newTenant()
  await createAdminStore(db, ACTOR).addTenant(tenant)
  const file = {
    issuer: SELF,
    audience: 'https://warder.example',
    jwks: { keys: [signer.publicKey] },
    private_network: true,
    poll: { url: transmitter.url, secret: 'poll-token', ...more },
  }
  const added = await addStream(
    { store: streams(), client: CLIENT },
    { tenant, name: 'idp', text: JSON.stringify(file) },
  )
  if (!added.ok) throw new Error(added.failure.message)
  // Nobody polls it after its test.
  running.push({ close: async () => void (await streams().removeStream(tenant, 'idp')) })
  return { tenant, transmitter, added: added.value, stream: added.value.stream }
}

/** An event of another Warder, as it pushes them. */
async function eventOf(jti: string, sub: string) {
  const now = toSeconds(systemClock())
  const event = caepEvent({ kind: 'subject', id: `${SELF}|${sub}` }, now)
  if (event === undefined) throw new Error('no event')
  const { subject, events } = event
  return await signer.sign({ aud: 'https://warder.example', jti, iat: now, sub_id: subject, events })
}

const keys = () =>
  createKeySets({
    clock: systemClock,
    fetch: () => Promise.reject(new Error('no')),
    onFault: () => undefined,
  })

/** What a server does every second. */
async function round(faults: string[] = []) {
  const poll = createPollStream({
    send: sendOutbound,
    tokens: createTransmitterTokens(sendOutbound, systemClock),
    store: createSignalStore(db),
    keys: keys(),
    clock: systemClock,
  })
  const onFault = (_: string, cause: string) => faults.push(cause)
  const parts = { queue: createPollQueue(db), poll, openSecret: openPollSecret(openSealing), onFault }
  return await pollDue(parts, new AbortController().signal)
}

async function listed(tenant: TenantId) {
  const [row] = await streams().listStreams(tenant, { limit: 1 })
  return row
}

test('what another Warder tells of is fetched and revokes here, and the list says so', async () => {
  const { tenant, transmitter } = await opened()
  transmitter.add('e-1', await eventOf('e-1', 'alice'))
  expect(await round()).toBe(1)
  const rows = await createAdminStore(db, ACTOR).listRevocations({ tenant, includeOver: false }, { limit: 9 })
  expect(rows).toMatchObject([{ kind: 'subject', id: `${SELF}|alice`, actor: 'signal:idp' }])
  expect(transmitter.waiting.size).toBe(0)
  expect(await listed(tenant)).toMatchObject({
    poll: transmitter.url,
    poll_fault: null,
    polled_at: expect.stringMatching(/^20/),
  })
})

test('a failure is listed with its cause until a poll succeeds', async () => {
  const { tenant, transmitter, stream } = await opened()
  transmitter.answer = (_, outgoing) => json(outgoing, 503, {})
  const faults: string[] = []
  await round(faults)
  expect(faults).toEqual(['it answered 503'])
  expect(await listed(tenant)).toMatchObject({ poll_fault: 'it answered 503', polled_at: null })
  transmitter.answer = undefined
  await createPollQueue(db).done(stream, { fault: 'again', seconds: 0 })
  await round()
  expect(await listed(tenant)).toMatchObject({ poll_fault: null })
})

test('of several servers one gets a stream, until it says that it is done', async () => {
  const { stream } = await opened()
  const queue = createPollQueue(db)
  const leases = await Promise.all(Array.from({ length: 6 }, () => createPollQueue(db).lease(16)))
  expect(leases.flat().filter(({ id }) => id === stream)).toHaveLength(1)
  expect((await queue.lease(16)).filter(({ id }) => id === stream)).toEqual([])
  await queue.done(stream, { fault: undefined, seconds: 0 })
  expect((await queue.lease(16)).filter(({ id }) => id === stream)).toHaveLength(1)
})

test('failures count until a poll succeeds', async () => {
  const { stream } = await opened()
  const queue = createPollQueue(db)
  const failures = async () => (await queue.lease(16)).find(({ id }) => id === stream)?.failures
  await queue.done(stream, { fault: 'x', seconds: 0 })
  await queue.done(stream, { fault: 'x', seconds: 0 })
  expect(await failures()).toBe(2)
  await queue.done(stream, { fault: undefined, seconds: 0 })
  expect(await failures()).toBe(0)
})

test('the secret is stored sealed, for this tenant, these URLs, this client and how it proves itself, and these networks alone', async () => {
  const client = { tokenUrl: 'https://idp.example/token', clientId: 'c' }
  const authentication = 'client_secret_basic' as const
  const { tenant, stream, transmitter } = await opened({
    ...{ token_url: client.tokenUrl, client_id: client.clientId, authentication },
  })
  const [row] = await db.owner<{ text: string; secret: string }[]>`
    select record::text as text, record->'source'->>'secret' as secret from signal_streams
    where stream = ${stream}::text::uuid`
  expect(row?.text).not.toContain('poll-token')
  const secret = row?.secret ?? ''
  const secretAt = (who: TenantId, more: Partial<PollSource> = {}, privateNetwork = true) => {
    const source = { url: transmitter.url, long: false, secret, client: { ...client, authentication } }
    return openPollSecret(openSealing)(who, { ...source, ...more }, privateNetwork)
  }
  expect(await secretAt(tenant)).toBe('poll-token')
  expect(await secretAt(newTenant())).toBeUndefined()
  const others: Partial<PollSource>[] = [
    { url: 'https://evil.example/poll' },
    { client: undefined },
    { client: { ...client, authentication, tokenUrl: 'https://evil.example/token' } },
    { client: { ...client, authentication, clientId: 'another' } },
    { client: { ...client, authentication: 'private_key_jwt' } },
  ]
  for (const other of others) expect(await secretAt(tenant, other)).toBeUndefined()
  expect(await secretAt(tenant, {}, false)).toBeUndefined()
})

test('nothing can be pushed to a stream that is fetched', async () => {
  const { added, stream } = await opened()
  expect(added).not.toHaveProperty('authorization')
  const receive = createReceiveSet({ store: createSignalStore(db), keys: keys(), clock: systemClock })
  const text = await eventOf('pushed', 'alice')
  for (const header of [undefined, '', 'Bearer poll-token'])
    expect(await receive(stream, header, text)).toMatchObject({ failure: { err: 'authentication_failed' } })
})

test('a stream that was removed is not fetched any more', async () => {
  const { tenant, transmitter } = await opened()
  await streams().removeStream(tenant, 'idp')
  await round()
  expect(transmitter.requests).toEqual([])
})

test('a server that runs fetches what is due and counts what fails', async () => {
  const { tenant, transmitter } = await opened()
  transmitter.add('e-2', await eventOf('e-2', 'bob'))
  const reported: string[] = []
  let count = 0
  const faults = {
    report: ({ fault }: { readonly fault: string }) => reported.push(fault),
    close: () => undefined,
  }
  const metrics = {
    pollFault: () => {
      count += 1
    },
  }
  const { close } = wirePolls(db, openSealing, metrics, faults)
  try {
    await expect.poll(() => transmitter.waiting.size, { timeout: 45_000 }).toBe(0)
    transmitter.answer = (_, outgoing) => json(outgoing, 500, {})
    await expect.poll(() => count, { timeout: 45_000 }).toBeGreaterThan(0)
  } finally {
    await close()
  }
  expect(reported).toContain('it answered 500')
  const rows = await createAdminStore(db, ACTOR).listRevocations({ tenant, includeOver: false }, { limit: 9 })
  expect(rows).toMatchObject([{ kind: 'subject', id: `${SELF}|bob` }])
}, 120_000)

describe('the next poll is due', () => {
  const GOOD: Polled = { taken: 1, refused: 0, more: false }
  const refused = () => Promise.reject(new Error('refused'))

  /** The pause and the cause after one poll of a stream. */
  async function after(
    poll: () => Promise<Polled>,
    { failures = 0, long = false, secret = 's', signal = new AbortController().signal } = {},
  ) {
    const { source: _, ...record } = streamOf('acme' as TenantId, await makeKey('ES256', 'k'))
    const due: DueStream = {
      ...record,
      failures,
      source: { url: 'https://x.example/p', long, secret: 'sealed' },
    }
    const outcomes: object[] = []
    const queue = {
      lease: async () => [due],
      done: async (_stream: string, outcome: object) => {
        outcomes.push(outcome)
      },
    }
    const parts = {
      queue,
      poll,
      openSecret: async () => (secret === '' ? undefined : secret),
      onFault: () => undefined,
    }
    await pollDue(parts, signal)
    return outcomes
  }

  test.each<[string, () => Promise<Polled>, object, object]>([
    ['after five seconds', async () => GOOD, {}, { seconds: 5, fault: undefined }],
    [
      'at once where the transmitter lets it wait',
      async () => GOOD,
      { long: true },
      { seconds: 0, fault: undefined },
    ],
    [
      'after five seconds where a transmitter always has more',
      async () => ({ ...GOOD, more: true }),
      { long: true },
      { seconds: 5, fault: undefined },
    ],
    ['after two seconds when it failed', refused, {}, { seconds: 2, fault: 'refused' }],
    ['after twice as long when it failed again', refused, { failures: 3 }, { seconds: 16, fault: 'refused' }],
    ['after five minutes at most', refused, { failures: 90, long: true }, { seconds: 300, fault: 'refused' }],
    [
      'later when the secret can not be opened',
      () => expect.unreachable(),
      { secret: '' },
      { seconds: 2, fault: 'the secret of the stream can not be opened' },
    ],
    [
      'at once, for another server, when this one ends',
      refused,
      { signal: AbortSignal.abort() },
      { seconds: 0, fault: undefined },
    ],
  ])('%s', async (_what, poll, more, expected) => {
    expect(await after(poll, more)).toEqual([expected])
  })
})
