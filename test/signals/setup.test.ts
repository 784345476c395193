import { exportJWK, generateKeyPair } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createAdminStore } from '#store/admin-store.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { openSetupWorld, type SetupWorld } from './setup-world.ts'

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const running: SetupWorld[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.close()))
})

async function opened(path = '') {
  const world = await openSetupWorld(db, path)
  running.push(world)
  return world
}

/** A stream that was set up; `push` has its events pushed. */
async function setUp(way: 'poll' | 'push' = 'poll') {
  const world = await opened()
  const added = await world.add(world.file({}, way === 'push' ? { push_to: world.pushTo } : {}))
  if (!added.ok) throw new Error(added.failure.message)
  const [[streamId, stream] = []] = [...world.transmitter.streams]
  if (streamId === undefined || stream === undefined) throw new Error('no stream at the transmitter')
  return { ...world, added: added.value, streamId, stream }
}

describe.each(['poll', 'push'] as const)('a stream by %s', (way) => {
  test('is discovered, made at its transmitter, verified there and stops who is told of', async () => {
    const { added, listed, polled, stream, streamId, transmitter, tenant } = await setUp(way)
    expect(added).toMatchObject({
      transmitter_stream: streamId,
      delivery: way,
      audience: ['https://warder.example'],
      check_fault: null,
    })
    if (way === 'poll') {
      expect(await listed()).toMatchObject({ standing: 'waiting' })
      await polled()
    } else await expect.poll(() => stream.outcomes, { timeout: 30_000 }).toEqual(['202'])
    expect(await listed()).toMatchObject({
      standing: 'healthy',
      status: 'enabled',
      transmitter_stream: streamId,
      verified_state: expect.stringMatching(/^[\w-]{32}$/),
      verification_due_at: null,
      check_fault: null,
    })
    const alice = { format: 'iss_sub', iss: transmitter.issuer, sub: 'alice' }
    const type = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
    await transmitter.emit(streamId, type, {}, alice)
    if (way === 'poll') await repolled(tenant, polled)
    const rows = await createAdminStore(db).listRevocations({ tenant, includeOver: false }, { limit: 9 })
    expect(rows).toMatchObject([{ kind: 'subject', id: `${transmitter.issuer}|alice` }])
    expect(new Set(stream.outcomes)).toEqual(new Set([way === 'poll' ? 'acknowledged' : '202']))
  })
})

/** Polls at once what was polled just now. */
async function repolled(tenant: string, polled: () => Promise<number>) {
  await db.owner`
    update signal_polls set next_at = now() where stream in (select stream from signal_streams where tenant = ${tenant})`
  await polled()
}

type Change = (world: SetupWorld) => { readonly file?: object; readonly access?: object } | undefined

/** The failure of adding what `change` makes wrong; nothing may be left here or at the transmitter. */
async function refusedAs(change: Change) {
  const world = await opened()
  const { file = {}, access = {} } = change(world) ?? {}
  const added = await world.add(world.file(file, access))
  expect(await world.parts.store.listStreams(world.tenant, { limit: 9 })).toEqual([])
  expect(world.transmitter.streams.size).toBe(0)
  return added.ok ? undefined : added.failure.message
}

const METADATA = '/.well-known/ssf-configuration'
const JSON_TYPE = { 'content-type': 'application/json' }

/** The transmitter answers at `path` in this way. */
function answering(path: string, status: number, headers: Record<string, string>, body: string): Change {
  return ({ transmitter: { rules } }) => {
    rules.answer = (call, outgoing) => {
      if (call.path !== path) return false
      outgoing.writeHead(status, headers).end(body)
      return true
    }
    return undefined
  }
}

/** The transmitter answers with this in its metadata, or in the configuration of the stream. */
function telling(rules: SetupWorld['transmitter']['rules']): Change {
  return ({ transmitter }) => {
    Object.assign(transmitter.rules, rules)
    return undefined
  }
}

const elsewhere: Change = ({ transmitter, pushTo }) => {
  const delivery = { method: 'urn:ietf:rfc:8935', endpoint_url: `${pushTo}/elsewhere` }
  transmitter.rules.configuration = { delivery }
  return { access: { push_to: pushTo } }
}

const fetchedFrom = (endpoint_url: string) =>
  telling({ configuration: { delivery: { method: 'urn:ietf:rfc:8936', endpoint_url } } })

const REFUSED: readonly [string, Change, string][] = [
  [
    'the metadata is that of another issuer',
    telling({ metadata: { issuer: 'https://evil.example' } }),
    'the metadata is that of another issuer',
  ],
  [
    'the issuer is spelled differently',
    ({ transmitter }) => ({ file: { issuer: `${transmitter.issuer}/` } }),
    'the metadata is that of another issuer',
  ],
  [
    'the metadata redirects',
    answering(METADATA, 302, { location: 'https://elsewhere.example/' }, ''),
    'the metadata URL answered 302',
  ],
  [
    'the metadata is too long',
    answering(METADATA, 200, JSON_TYPE, `{"x":"${'x'.repeat(70_000)}"}`),
    'the answer is larger than 64 KiB',
  ],
  ['the metadata is no JSON', answering(METADATA, 200, { 'content-type': 'text/html' }, '{}'), 'is not JSON'],
  [
    'a member of the metadata is there twice',
    answering(METADATA, 200, JSON_TYPE, '{"issuer":"https://a.example","issuer":"https://b.example"}'),
    'the metadata is that of another issuer',
  ],
  [
    'an endpoint is no https URL',
    telling({ metadata: { status_endpoint: 'file:///etc/passwd' } }),
    '`status_endpoint` that is no https URL',
  ],
  [
    'streams can not be managed',
    telling({ metadata: { configuration_endpoint: undefined } }),
    'the metadata names no `configuration_endpoint`',
  ],
  ['there are no keys', telling({ metadata: { jwks_uri: undefined } }), 'the metadata names no `jwks_uri`'],
  [
    'the delivery is not offered',
    telling({ metadata: { delivery_methods_supported: ['urn:ietf:rfc:8935'] } }),
    'does not offer delivery by urn:ietf:rfc:8936',
  ],
  [
    'the token is refused',
    () => ({ access: { secret: 'wrong' } }),
    'the configuration endpoint answered 401',
  ],
  [
    'the endpoint redirects',
    answering('/streams', 307, { location: 'https://elsewhere.example/' }, ''),
    'the configuration endpoint answered 307',
  ],
  [
    'there may be one stream only',
    answering('/streams', 409, JSON_TYPE, '{}'),
    'the configuration endpoint answered 409',
  ],
  [
    'the stream is of another issuer',
    telling({ configuration: { iss: 'https://evil.example' } }),
    '`iss` of the stream is another issuer',
  ],
  [
    'the stream is for another audience',
    () => ({ file: { audience: 'https://other.example' } }),
    'for another `aud`',
  ],
  ['the stream is for nobody', telling({ configuration: { aud: [] } }), 'the stream has no `aud`'],
  ['the stream is pushed elsewhere', elsewhere, 'not pushed to where it was asked to'],
  ['the stream is fetched from no web server', fetchedFrom('ftp://x.example/'), 'no `endpoint_url`'],
]

test.each(REFUSED)('no stream is set up where %s', async (_what, change, expected) => {
  expect(await refusedAs(change)).toContain(expected)
})

test('nobody is called in a private network unless the file says so', async () => {
  const { add, file, transmitter } = await opened()
  const added = await add(file({ private_network: false }))
  expect(added).toMatchObject({ failure: { message: 'at the transmitter: the URL is not https' } })
  expect(transmitter.calls).toEqual([])
})

test('a name is used once: the transmitter is not even asked', async () => {
  const { add, file, transmitter } = await setUp()
  const before = transmitter.calls.length
  expect(await add(file())).toMatchObject({ failure: { code: 'stream.exists' } })
  expect(transmitter.calls).toHaveLength(before)
})

test('the path of an issuer follows the well-known path (SSF 1.0 section 7.2.1)', async () => {
  const { add, file, transmitter } = await opened('/tenant/a')
  expect(await add(file())).toMatchObject({ ok: true })
  expect(transmitter.calls[0]?.path).toBe('/.well-known/ssf-configuration/tenant/a')
})

test('Warder proves itself by private_key_jwt, with the scope that the file names', async () => {
  const { add, file, transmitter } = await opened()
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const secret = JSON.stringify({ ...(await exportJWK(privateKey)), alg: 'ES256' })
  const token_url = `${transmitter.origin}/token`
  const added = await add(file({}, { secret, token_url, client_id: 'warder', scope: 'ssf.manage ssf.read' }))
  expect(added).toMatchObject({ ok: true, value: { check_fault: null } })
  expect(transmitter.calls[1]).toMatchObject({
    path: '/token',
    body: {
      grant_type: 'client_credentials',
      scope: 'ssf.manage ssf.read',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    },
  })
  expect(transmitter.calls.filter(({ path }) => path === '/token')).toHaveLength(1)
})

test('a token that was ended is fetched anew, once', async () => {
  const { add, file, transmitter } = await opened()
  const secret = { secret: 's', token_url: `${transmitter.origin}/token`, client_id: 'warder' }
  let refusals = 1
  transmitter.rules.answer = (call, outgoing) => {
    if (call.path !== '/streams' || refusals-- <= 0) return false
    outgoing.writeHead(401).end()
    return true
  }
  const added = await add(file({}, { ...secret, authentication: 'client_secret_basic' }))
  expect(added).toMatchObject({ ok: true })
  expect(transmitter.calls.filter(({ path }) => path === '/token')).toHaveLength(2)
})

test('the secret is stored sealed, for its endpoints, its client and its networks alone', async () => {
  const { added, parts, tenant } = await setUp()
  const [row] = await db.owner<{ text: string }[]>`
    select record::text as text from signal_streams where stream = ${added.stream}::text::uuid`
  expect(row?.text).not.toContain('management-token')
  expect(await parts.store.findManaged(tenant, 'idp')).toMatchObject({
    management: { secret: 'management-token' },
  })
  for (const [now, changed] of [
    ['/verify', '/elsewhere'],
    ['"privateNetwork":true', '"privateNetwork":false'],
  ] as const) {
    const record = row?.text.replace(now, changed) ?? ''
    expect(record).not.toBe(row?.text)
    await db.owner`
      update signal_streams set record = ${record}::text::json where stream = ${added.stream}::text::uuid`
    expect(await parts.store.findManaged(tenant, 'idp')).toBe('sealed')
  }
})

test('the secret of a client is sealed for how it proves itself', async () => {
  const { add, file, parts, tenant, transmitter } = await opened()
  const client = { token_url: `${transmitter.origin}/token`, client_id: 'warder' }
  await add(file({}, { ...client, secret: 's', authentication: 'client_secret_basic' }))
  expect(await parts.store.findManaged(tenant, 'idp')).toMatchObject({ management: { secret: 's' } })
  await db.owner`
    update signal_streams set record = replace(record::text, 'client_secret_basic', 'private_key_jwt')::json
    where tenant = ${tenant}`
  expect(await parts.store.findManaged(tenant, 'idp')).toBe('sealed')
})

test('whoever names a host does not learn whether it exists in networks that are not public', async () => {
  const { add, tenant, parts } = await opened()
  const failureAt = async (issuer: string) => {
    const added = await add(JSON.stringify({ issuer, transmitter: { secret: 's' } }))
    return added.ok ? undefined : added.failure
  }
  const inside = await failureAt('https://localhost:1/')
  expect(inside).toMatchObject({ message: expect.stringContaining('no address that may be reached') })
  // A label of 64 characters is in no name service.
  expect(await failureAt(`https://${'a'.repeat(64)}.example/`)).toEqual(inside)
  expect(await failureAt('https://10.0.0.1/')).toEqual(inside)
  expect(await parts.store.findManaged(tenant, 'idp')).toBe('unknown')
})

test('a stream that is there already is taken over', async () => {
  const { transmitter, parts, tenant, streamId, file, add, pushTo } = await setUp()
  await parts.store.removeStream(tenant, 'idp')
  const added = await add(file({}, { stream_id: streamId, push_to: pushTo, description: 'ours' }))
  expect(added).toMatchObject({ ok: true, value: { transmitter_stream: streamId, delivery: 'push' } })
  expect([...transmitter.streams.values()]).toMatchObject([
    {
      configuration: {
        description: 'ours',
        delivery: {
          endpoint_url: expect.stringContaining(`${pushTo}/v1/signals/`),
          authorization_header: expect.stringMatching(/^Bearer wss_/),
        },
      },
    },
  ])
})
