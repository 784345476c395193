import { expect, test } from 'vitest'
import { nextTurn, turnOfOwn } from '#lib/next-turn.ts'

test('those who wait for turns of their own get one each, in the order of asking, and everybody else one in between', async () => {
  const order: string[] = []
  const worker = async (name: string): Promise<void> => {
    for (let i = 0; i < 3; i += 1) {
      await turnOfOwn()
      order.push(name)
    }
  }
  const working = Promise.all(['a', 'b', 'c'].map(worker))
  let isDone = false
  void working.then(() => {
    isDone = true
  })
  while (!isDone) {
    await nextTurn()
    order.push('.')
  }
  expect(order.join('')).toMatch(/^\.?a\.b\.c\.a\.b\.c\.a\.b\.c\.$/)
})

test('who comes when nobody waits any more is served too', async () => {
  await turnOfOwn()
  await nextTurn()
  await expect(turnOfOwn()).resolves.toBeUndefined()
})
