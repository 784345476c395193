import { describe, expect, test } from 'vitest'
import { compareWithCedar } from './against-cedar.ts'
import { VECTORS } from './vectors.ts'
import { WORLD } from './world.ts'

describe('a condition comes to what cedar-wasm says', () => {
  test.each(Object.entries(VECTORS))('%s', async (_, conditions) => {
    const found = await compareWithCedar(conditions, WORLD)
    expect(found.filter(({ compiled, cedar }) => compiled !== cedar)).toEqual([])
    // Vectors of one outcome alone would show little.
    expect(new Set(found.map(({ cedar }) => cedar)).size).toBeGreaterThanOrEqual(2)
  })
})
