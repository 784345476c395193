import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { TenantId } from '#model/ids.ts'
import { createRevocationEvents, type RevokedRow, type StreamEvent } from '#revocation/events.ts'
import { revocation } from './subjects.ts'

const [ACME, GLOBEX] = ['acme', 'globex'] as [TenantId, TenantId]

function row(version: number, id: string, tenant: TenantId | null = ACME): RevokedRow {
  return { tenant, version, revocation: revocation({ kind: 'agent', id }) }
}

function hashOf(id: string): string {
  return createHash('sha256').update(`agent:${id}`).digest('hex')
}

/** What a follower hears, as `event@seq` with the revoked agents that it knows. */
function heard(events: readonly StreamEvent[]): readonly string[] {
  const names = new Map(['a', 'b', 'c', 'all'].map((id) => [hashOf(id), id]))
  return events.map(({ event, data, id }) => {
    const things = data.revoked?.map((each) => names.get(each.id) ?? '?').join('+')
    return `${event}@${data.seq}${things === undefined ? '' : ` ${things}`}${id === undefined ? '' : ' (id)'}`
  })
}

function begun(keptMax?: number) {
  const events = createRevocationEvents(keptMax)
  events.settled(undefined, 10, true)
  const follow = (since?: number, tenant = ACME) => {
    const got: StreamEvent[] = []
    const leave = events.follow(tenant, since, (event) => got.push(event))
    return { got, leave, heard: () => heard(got) }
  }
  return { events, follow }
}

test('who comes without a point, with one too old, or with one from the future begins anew', () => {
  const { follow } = begun()
  for (const since of [undefined, 9, 11]) expect(follow(since).heard()).toEqual(['reset@10 (id)'])
  expect(follow(10).heard()).toEqual(['epoch@10 (id)'])
})

test('what is revoked is told at once, and the point to resume from only when all of it acts', () => {
  const { events, follow } = begun()
  const follower = follow(10)
  events.revoked([row(11, 'a'), row(12, 'b'), row(12, 'c')])
  events.settled([ACME], 12, false)
  expect(follower.heard()).toEqual(['epoch@10 (id)', 'revoked@11 a', 'revoked@12 b+c', 'epoch@12 (id)'])
})

test('who comes back hears what he missed, and nothing twice', () => {
  const { events, follow } = begun()
  events.revoked([row(11, 'a')])
  events.settled([ACME], 11, false)
  events.revoked([row(12, 'b')])
  events.settled([ACME], 12, false)
  expect(follow(10).heard()).toEqual(['revoked@11 a', 'revoked@12 b', 'epoch@12 (id)'])
  expect(follow(11).heard()).toEqual(['revoked@12 b', 'epoch@12 (id)'])
  expect(follow(12).heard()).toEqual(['epoch@12 (id)'])
})

test('who missed more than is kept begins anew', () => {
  const { events, follow } = begun(2)
  for (const version of [11, 12, 13]) events.revoked([row(version, 'a')])
  events.settled([ACME], 13, false)
  expect(follow(10).heard()).toEqual(['reset@13 (id)'])
  expect(follow(11).heard()).toEqual(['revoked@12 a', 'revoked@13 a', 'epoch@13 (id)'])
})

test('no tenant hears of another, and all hear of what concerns all', () => {
  const { events, follow } = begun()
  const [acme, globex] = [follow(10, ACME), follow(10, GLOBEX)]
  events.revoked([row(11, 'a', ACME), row(12, 'all', null)])
  events.settled(undefined, 12, false)
  expect(globex.heard()).toEqual(['epoch@10 (id)', 'revoked@12 all', 'epoch@12 (id)'])
  expect(acme.heard()).toEqual(['epoch@10 (id)', 'revoked@11 a', 'revoked@12 all', 'epoch@12 (id)'])
  expect(follow(10, GLOBEX).heard()).toEqual(['revoked@12 all', 'epoch@12 (id)'])
})

test('any other change of the tenant moves its epoch, that of another tenant does not', () => {
  const { events, follow } = begun()
  const follower = follow(10)
  events.settled([GLOBEX], 11, false)
  events.settled([ACME], 12, false)
  expect(follower.heard()).toEqual(['epoch@10 (id)', 'epoch@12 (id)'])
})

test('a database that was read anew makes everybody begin anew', () => {
  const { events, follow } = begun()
  const follower = follow(10)
  events.revoked([row(11, 'a')])
  events.settled(undefined, 5, true)
  expect(follower.heard().at(-1)).toBe('reset@5 (id)')
  expect(follow(11).heard()).toEqual(['reset@5 (id)'])
})

test('what is too much to be told one by one makes who follows begin anew, live and after a break', () => {
  const { events, follow } = begun()
  const follower = follow(10)
  events.revoked(Array.from({ length: 501 }, (_, i) => row(11 + i, 'a')))
  events.settled([ACME], 511, false)
  expect(follower.heard()).toEqual(['epoch@10 (id)', 'reset@10 (id)', 'epoch@511 (id)'])
  expect(follow(10).heard()).toEqual(['reset@511 (id)', 'epoch@511 (id)'])
})

test('who left hears nothing more', () => {
  const { events, follow } = begun()
  const follower = follow(10)
  follower.leave()
  events.revoked([row(11, 'a')])
  expect(follower.heard()).toEqual(['epoch@10 (id)'])
})

test('no id leaves as it is', () => {
  const { events, follow } = begun()
  const follower = follow(10)
  events.revoked([{ ...row(11, 'secret-agent'), revocation: revocation({ kind: 'token', id: 'i|jti-7' }) }])
  expect(JSON.stringify(follower.got)).not.toMatch(/jti-7|secret-agent|test/)
})
