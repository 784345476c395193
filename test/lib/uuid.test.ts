import { expect, test } from 'vitest'
import { uuidV7 } from '#lib/uuid.ts'

test('ids are well-formed version 7 UUIDs', () => {
  for (let i = 0; i < 2000; i++) {
    expect(uuidV7(1_795_000_000_000 + i)).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  }
})

test('ids carry their time and sort by it', () => {
  const early = uuidV7(1_700_000_000_000)
  const late = uuidV7(1_700_000_000_001)
  expect(early < late).toBe(true)
  expect(Number.parseInt(early.replaceAll('-', '').slice(0, 12), 16)).toBe(1_700_000_000_000)
})

test('100,000 ids of one millisecond differ', () => {
  const ids = new Set(Array.from({ length: 100_000 }, () => uuidV7(1_700_000_000_000)))
  expect(ids.size).toBe(100_000)
})
