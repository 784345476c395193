import { beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '#model/value.ts'
import { type Open, search } from '../support/search.ts'
import { createWorld, type World } from '../support/world.ts'

const ALICE = { type: 'user', id: 'alice' }
const BOB = { type: 'user', id: 'bob', properties: { role: 'admin' } }
const USER = { type: 'user' }
const READ = { name: 'read' }
const WRITE = { name: 'write' }
const RECORD = { type: 'record' }
const RECORD_1 = { type: 'record', id: 'record-1' }
const ARCHIVED = { type: 'record', id: 'record-2', properties: { status: 'archived' } }

const users = (...ids: string[]) => ids.map((id) => ({ type: 'user', id }))
const records = (...ids: string[]) => ids.map((id) => ({ type: 'record', id }))
const names = (...all: string[]) => all.map((name) => ({ name }))

describe('authzen-cert', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld('authzen-cert', { policies: 'authzen-cert' })
  })

  test.each<[string, Open, JsonObject, readonly JsonObject[]]>([
    ['S1', 'subject', { subject: USER, action: READ, resource: RECORD_1 }, users('alice', 'bob')],
    ['S2', 'resource', { subject: ALICE, action: READ, resource: RECORD }, records('record-1', 'record-2')],
    ['S3', 'action', { subject: ALICE, resource: RECORD_1 }, names('read', 'write')],
    ['S4', 'subject', { subject: USER, action: WRITE, resource: ARCHIVED }, users('bob')],
    ['S5', 'resource', { subject: BOB, action: WRITE, resource: RECORD }, records('record-2')],
    ['S6', 'action', { subject: BOB, resource: ARCHIVED }, names('read', 'write')],
  ])('answers exactly what is permitted: %s', async (_name, open, body, results) => {
    expect(await search(world, open, body)).toMatchObject({ status: 200, body: { results } })
    const told = await search(world, open, { ...body, context: { time: '2025-06-27T18:03-07:00' }, more: 1 })
    expect(told.body).toEqual({ results })
  })
})
