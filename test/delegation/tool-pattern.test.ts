import { expect, test } from 'vitest'
import { namesTool } from '#delegation/tool-pattern.ts'

test.each<[readonly string[], string | undefined, boolean]>([
  [['crm/read'], 'crm/read', true],
  [['crm/read'], 'crm/readall', false],
  [['crm/*'], 'crm/read', true],
  [['crm/*'], 'crm', false],
  [['crm/*'], 'crm/', false],
  [['crm/*'], 'crm2/read', false],
  [['crm*'], 'crm2/read', false],
  [['*'], 'anything', true],
  [['*'], undefined, true],
  [['crm/*'], undefined, false],
  [[], 'crm/read', false],
])('%j names %s: %s', (patterns, tool, expected) => {
  expect(namesTool(patterns, tool)).toBe(expected)
})
