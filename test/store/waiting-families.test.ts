import { expect, test } from 'vitest'
import type { NewestToken } from '#identity/families.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { WaitingFamilies } from '#store/waiting-families.ts'

/** `tenant` is one letter. */
const newest = (tenant: string, number: number, issuedAt = 1): NewestToken => ({
  family: tenant.repeat(32) + String(number).padStart(32, '0'),
  issuedAt: issuedAt as EpochSeconds,
  seenAt: 1 as EpochMilliseconds,
  expiresAt: 2 as EpochMilliseconds,
})
const add = (waiting: WaitingFamilies, tenant: string, count: number) => {
  for (let i = 0; i < count; i++) waiting.add(newest(tenant, i))
}
const shares = (batch: readonly NewestToken[]) => {
  const counts: { [tenant: string]: number } = {}
  for (const {
    family: [tenant = ''],
  } of batch)
    counts[tenant] = (counts[tenant] ?? 0) + 1
  return counts
}

test("a tenant's flood pushes out its own oldest, and nothing of another tenant", () => {
  const waiting = new WaitingFamilies(100)
  waiting.add(newest('b', 0))
  add(waiting, 'a', 5_000)
  const batch = waiting.next(1_000)
  expect(shares(batch)).toEqual({ a: 100, b: 1 })
  expect(batch).toContainEqual(newest('a', 4_999))
  expect(batch).not.toContainEqual(newest('a', 4_899))
})

test("a tenant's flood delays another tenant's token by no batch", () => {
  const waiting = new WaitingFamilies()
  add(waiting, 'a', 20_000)
  add(waiting, 'b', 3)
  expect(shares(waiting.next(500))).toEqual({ a: 497, b: 3 })
})

test('more tenants than a batch has room for take turns, whoever floods', () => {
  const waiting = new WaitingFamilies()
  for (const tenant of 'abcdef') add(waiting, tenant, 1_000)
  const seen = new Set<string>()
  for (let batches = 0; batches < 3; batches++) {
    const batch = waiting.next(2)
    for (const tenant of Object.keys(shares(batch))) seen.add(tenant)
    waiting.written(batch)
    add(waiting, 'a', 1_000)
  }
  expect([...seen].sort().join('')).toBe('abcdef')
})

test('what was written waits no longer, but a newer token of its family that came meanwhile does', () => {
  const waiting = new WaitingFamilies()
  add(waiting, 'a', 2)
  const batch = waiting.next(10)
  waiting.add(newest('a', 1, 7))
  waiting.written(batch)
  expect(waiting.next(10)).toEqual([newest('a', 1, 7)])
  waiting.written(waiting.next(10))
  expect(waiting.isEmpty).toBe(true)
  expect(waiting.next(10)).toEqual([])
})

test('of one family only the newest waits', () => {
  const waiting = new WaitingFamilies()
  waiting.add(newest('a', 1, 1))
  waiting.add(newest('a', 1, 2))
  expect(waiting.next(10)).toEqual([newest('a', 1, 2)])
})
