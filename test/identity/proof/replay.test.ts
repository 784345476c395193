import { expect, test } from 'vitest'
import { createMemoryReplayStore } from '#identity/proof/replay.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { freshReservation, replayStoreContract } from '../../contracts/replay-store.contract.ts'

replayStoreContract('the replay store in memory', () => {
  const store = createMemoryReplayStore()
  return [store, store]
})

test('a full store denies instead of forgetting', async () => {
  const store = createMemoryReplayStore(1)
  const first = freshReservation()
  expect(await store.reserve(first)).toBe('first')
  await expect(store.reserve(freshReservation())).rejects.toThrow('full')
  expect(await store.reserve(first)).toBe('replayed')
})

test('proofs that can not be used again make room', async () => {
  const store = createMemoryReplayStore(1)
  const first = freshReservation()
  await store.reserve(first)
  const now = (first.expiresAt + 1) as EpochMilliseconds
  expect(await store.reserve(freshReservation({ now }))).toBe('first')
})
