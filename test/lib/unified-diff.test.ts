import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unifiedDiff } from '#lib/unified-diff.ts'

/** Applies the hunks to `before`, as `patch` does. */
function patched(before: readonly string[], hunks: readonly string[]): readonly string[] {
  const result: string[] = []
  let at = 0
  for (const line of hunks) {
    const start = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line)
    if (start !== null) {
      const from = Number(start[1]) - (start[2] === '0' ? 0 : 1)
      result.push(...before.slice(at, from))
      at = from
    } else if (line.startsWith('+')) result.push(line.slice(1))
    else {
      expect(before[at]).toBe(line.slice(1))
      if (line.startsWith(' ')) result.push(line.slice(1))
      at += 1
    }
  }
  return [...result, ...before.slice(at)]
}

test('equal texts have no hunks', () => {
  expect(unifiedDiff('a\nb\n', 'a\nb')).toEqual([])
})

test('a change is shown with three lines around it', () => {
  expect(unifiedDiff('1\n2\n3\n4\n5\n6\n7\n8\n9\n', '1\n2\n3\n4\nfive\n6\n7\n8\n9\n')).toEqual([
    '@@ -2,7 +2,7 @@',
    ' 2',
    ' 3',
    ' 4',
    '-5',
    '+five',
    ' 6',
    ' 7',
    ' 8',
  ])
})

test('the hunks applied to the old text give the new one', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const hunks = unifiedDiff(before.join('\n'), after.join('\n'))
      expect(patched(before, hunks)).toEqual(after)
    }),
  )
})

test('huge texts are replaced as a whole rather than compared for minutes', () => {
  const text = (word: string) => Array.from({ length: 3000 }, (_, i) => `${word}${i}`).join('\n')
  expect(unifiedDiff(text('a'), text('b'))).toHaveLength(6001)
})
