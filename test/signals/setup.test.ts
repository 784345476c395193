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
