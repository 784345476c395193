import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { answerBatch } from '#http/answer-batch.ts'
import type { Decision } from '#model/decision.ts'
import type { AuthorizationRequest } from '#model/request.ts'

const ITEMS = 100

function batchOf(decide: (position: number) => Promise<Decision>): ReturnType<typeof answerBatch> {
  const requests = Array.from({ length: ITEMS }, (_, i) => ({ tool: String(i) }) as AuthorizationRequest)
  const asked = { requests, semantic: 'execute_all', itemErrors: new Map() } as const
  return answerBatch(asked, {
    decide: (request) => decide(Number(request.tool)),
    refuse: () => Promise.reject(new Error('not asked')),
  })
}

test('other requests are served while a large batch is decided', async () => {
  let decided = 0
  const seen: number[] = []
  const others = (async () => {
    while (decided < ITEMS) {
      await nextTurn()
      seen.push(decided)
    }
  })()
  const { decisions } = await batchOf(async (position) => {
    decided++
    return { id: String(position) } as Decision
  })
  await others
  expect(decisions.map(({ id }) => Number(id))).toEqual(Array.from({ length: ITEMS }, (_, i) => i))
  const steps = seen.map((count, i) => count - (seen[i - 1] ?? 0))
  expect(Math.max(...steps)).toBeLessThan(ITEMS / 4)
})

test('a fault in one item rejects the batch, and nothing else', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    await expect(batchOf(() => Promise.reject(new Error('a fault')))).rejects.toThrow('a fault')
    await nextTurn()
  } finally {
    process.off('unhandledRejection', note)
  }
  expect(unhandled).toEqual([])
})
