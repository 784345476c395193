import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { timed, timedAsync } from '#lib/timed.ts'

test('calls and promises are observed from beginning to end, faults too, and nothing is changed', async () => {
  const seen: number[] = []
  const observe = (startedAt: number, endedAt: number): void => void seen.push(endedAt - startedAt)
  const fault = new Error('fault')
  expect(timed((a: number, b: number) => a + b, observe)(1, 2)).toBe(3)
  expect(() =>
    timed(() => {
      throw fault
    }, observe)(),
  ).toThrow(fault)
  expect(await timedAsync((text: string) => sleep(20, text), observe)('late')).toBe('late')
  await expect(timedAsync(() => Promise.reject(fault), observe)()).rejects.toBe(fault)
  expect(seen).toHaveLength(4)
  expect(Math.min(...seen)).toBeGreaterThanOrEqual(0)
  expect(seen[2]).toBeGreaterThanOrEqual(15)
})
