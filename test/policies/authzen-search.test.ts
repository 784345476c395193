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

describe('authzen-search', () => {
  const users: { readonly [id: string]: readonly [role: string, department: string] } = {
    alice: ['manager', 'Sales'],
    bob: ['employee', 'Legal'],
    carol: ['contractor', 'Legal'],
    dan: ['manager', 'Finance'],
    erin: ['employee', 'Finance'],
    felix: ['contractor', 'Accounting'],
  }
  const owners = Object.keys(users)
  // L: Legal, A: Accounting, S: Sales, F: Finance; of the records 101 to 120.
  const departments = 'LLLALASLASALSAFLLALA'.split('')
  const actions = ['delete', 'edit', 'view']
  const ids = departments.map((_, at) => String(101 + at))

  function isPermitted(user: string, action: string, id: string): boolean {
    const at = ids.indexOf(id)
    const [role, department = ''] = users[user] ?? []
    if (owners[at % owners.length] === user) return true
    const isOwn = department.startsWith(departments[at] ?? '-')
    if (action === 'view') return isOwn || role === 'manager'
    return action === 'edit' && isOwn && role === 'manager'
  }

  let world: World
  beforeAll(async () => {
    world = await createWorld('authzen-search', { policies: 'authzen-search' })
  })
  const results = async (open: Open, body: JsonObject) => (await search(world, open, body)).body

  test('who may view, edit or delete a record', async () => {
    for (const id of ids)
      for (const name of actions) {
        const body = { subject: { type: 'user' }, action: { name }, resource: { type: 'record', id } }
        const permitted = owners.filter((user) => isPermitted(user, name, id))
        expect(await results('subject', body)).toEqual({
          results: permitted.map((user) => ({ type: 'user', id: user })),
        })
      }
  })

  test('which records somebody may view, edit or delete', async () => {
    for (const user of owners)
      for (const name of actions) {
        const body = { subject: { type: 'user', id: user }, action: { name }, resource: { type: 'record' } }
        const permitted = ids.filter((id) => isPermitted(user, name, id))
        expect(await results('resource', body)).toEqual({
          results: permitted.map((id) => ({ type: 'record', id })),
        })
      }
  })

  test('what somebody may do with a record', async () => {
    for (const user of owners)
      for (const id of ids) {
        const body = { subject: { type: 'user', id: user }, resource: { type: 'record', id } }
        const permitted = actions.filter((name) => isPermitted(user, name, id))
        expect(await results('action', body)).toEqual({ results: permitted.map((name) => ({ name })) })
      }
  })
})
