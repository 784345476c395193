import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { countUnauthenticated } from '#http/unauthenticated.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a flood of unknown keys gives one report per ten seconds, and none is lost', () => {
  const reports: number[] = []
  const counter = countUnauthenticated((count) => reports.push(count))
  counter.add()
  expect(reports).toEqual([1])
  for (let i = 0; i < 1_000; i++) counter.add()
  vi.advanceTimersByTime(9_999)
  expect(reports).toEqual([1])
  vi.advanceTimersByTime(1)
  expect(reports).toEqual([1, 1_000])
  vi.advanceTimersByTime(60_000)
  expect(reports).toEqual([1, 1_000])
  counter.add()
  counter.add()
  counter.close()
  expect(reports).toEqual([1, 1_000, 1, 1])
  expect(vi.getTimerCount()).toBe(0)
})
