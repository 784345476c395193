import { expect, test } from 'vitest'
import { nearest } from '#lib/nearest.ts'

test.each([
  ['evnironment', ['environment', 'owner'], 'environment'],
  ['grops', ['groups', 'group'], 'groups'],
  ['x', ['y'], 'y'],
  ['colour', ['status', 'groups'], undefined],
  ['', ['a'], 'a'],
  ['anything', [], undefined],
])('%s among %j means %s', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected)
})
