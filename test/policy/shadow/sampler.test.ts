import { describe, expect, test } from 'vitest'
import { createBacklog, createSample } from '#policy/shadow/sampler.ts'

describe('samples', () => {
  test('one each second, however unlucky, the share of the rest, and no two close to each other', () => {
    let random = 1
    const sample = createSample(() => random)
    expect([0, 1, 999, 1_000, 1_001, 1_999, 2_000].map((now) => sample(now))).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      true,
    ])
    random = 0.009
    expect([2_001, 2_099, 2_100, 2_101, 2_200].map((now) => sample(now))).toEqual([
      false,
      false,
      true,
      false,
      true,
    ])
    random = 0.01
    expect(sample(2_300)).toBe(false)
  })
})

describe('the backlog', () => {
  test('works in order, one at a time, and takes no more than it has room for', async () => {
    const done: number[] = []
    const backlog = createBacklog<number>(2, async (item) => {
      done.push(item)
    })
    expect([1, 2, 3, 4].map((item) => backlog.offer(item))).toEqual([true, true, true, false])
    expect(done).toEqual([])
    await backlog.idle()
    expect(done).toEqual([1, 2, 3])
    expect(backlog.offer(5)).toBe(true)
    await backlog.idle()
    expect(done).toEqual([1, 2, 3, 5])
  })

  test('a closed one takes nothing', async () => {
    const done: number[] = []
    const backlog = createBacklog<number>(9, async (item) => {
      done.push(item)
    })
    backlog.offer(1)
    backlog.offer(2)
    backlog.close()
    expect(backlog.offer(3)).toBe(false)
    await backlog.idle()
    expect(done).toEqual([1])
  })
})
