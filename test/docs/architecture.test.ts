import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** The table of the architecture test, read from its source: folder → what it may import. */
function enforcedTable(): ReadonlyMap<string, string> {
  const source = readFileSync('test/architecture.test.ts', 'utf8')
  const table = /MAY_IMPORT[^{]*\{([\s\S]*?)\n\}/.exec(source)?.[1] ?? ''
  const rows = [...table.matchAll(/^ {2}'?([\w-]+)'?: \[([^\]]*)\],$/gm)]
  return new Map(rows.map(([, folder = '', list = '']) => [folder, (list.match(/[\w-]+/g) ?? []).join(', ')]))
}

/** The same table as docs/architecture.md shows it. */
function documentedTable(): ReadonlyMap<string, string> {
  const page = readFileSync('docs/architecture.md', 'utf8')
  const rows = [...page.matchAll(/^\| `([\w-]+)` \| [^|]* \| ?([^|]*?) ?\|$/gm)]
  return new Map(rows.map(([, folder = '', list = '']) => [folder, list]))
}

test('docs/architecture.md shows the dependency table that the architecture test enforces', () => {
  expect(enforcedTable().size).toBeGreaterThan(10)
  expect([...documentedTable()]).toEqual([...enforcedTable()])
})
