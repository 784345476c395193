import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { ReplayStore, Reservation } from '#identity/proof/replay.ts'
import { RETRY_MILLISECONDS } from '#identity/proof/replay.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'

const NOW = 1_800_000_000_000

/** A proof that nobody used yet. */
export function freshReservation(more: Partial<Reservation> = {}): Reservation {
  return {
    key: randomBytes(32).toString('hex'),
    question: undefined,
    issuedAt: (NOW / 1000) as EpochSeconds,
    expiresAt: (NOW + 180_000) as EpochMilliseconds,
    now: NOW as EpochMilliseconds,
    ...more,
  }
}

/** What every replay store promises. `open` gives two servers' views of one store. */
export function replayStoreContract(name: string, open: () => readonly [ReplayStore, ReplayStore]): void {
  describe(name, () => {
    test('a proof is good once, on whichever server', async () => {
      const [here, there] = open()
      const proof = freshReservation()
      expect(await here.reserve(proof)).toBe('first')
      expect(await here.reserve(proof)).toBe('replayed')
      expect(await there.reserve(proof)).toBe('replayed')
    })

    test('of 32 uses of one proof at the same time, on two servers, exactly one is the first', async () => {
      const stores = open()
      const proof = freshReservation()
      const outcomes = await Promise.all(
        Array.from({ length: 32 }, (_, i) => (stores[i % 2] ?? stores[0]).reserve(proof)),
      )
      expect(outcomes.filter((outcome) => outcome === 'first')).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(31)
    })

    test('different proofs at the same time are all new', async () => {
      const [here, there] = open()
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? here : there).reserve(freshReservation())),
      )
      expect(new Set(outcomes)).toEqual(new Set(['first']))
    })

    test.each([
      ['the same question a moment later is a retry', 'q1', RETRY_MILLISECONDS, 'retry'],
      ['the same question later is a replay', 'q1', RETRY_MILLISECONDS + 1, 'replayed'],
      ['another question is a replay', 'q2', 1, 'replayed'],
      ['a question that can not be told from others is a replay', undefined, 1, 'replayed'],
    ] as const)('%s', async (_what, question, later, outcome) => {
      const [here, there] = open()
      const proof = freshReservation({ question: 'q1' })
      await here.reserve(proof)
      const again = { ...proof, question, now: (NOW + later) as EpochMilliseconds }
      expect(await there.reserve(again)).toBe(outcome)
    })

    test('a proof that was used without a question has no retries', async () => {
      const [here] = open()
      const proof = freshReservation()
      await here.reserve(proof)
      expect(await here.reserve(proof)).toBe('replayed')
    })
  })
}
