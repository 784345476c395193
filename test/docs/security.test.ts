import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const security = readFileSync('SECURITY.md', 'utf8')
const rows = [...security.matchAll(/^\| (\d+) \| (.+?) \| (.+) \|$/gm)]
const INVARIANTS = 11

test('the threat model lists every invariant of the design, in order', () => {
  expect(rows.map(([, number]) => Number(number))).toEqual(
    Array.from({ length: INVARIANTS }, (_, i) => i + 1),
  )
})

const waysIn = [...security.matchAll(/^\| (.+?) \| .+? \| .+? \| (`test\/.+) \|$/gm)]

test('the threat model lists the ways in', () => {
  const section = security.split('### Where attackers begin')[1]?.split('###')[0] ?? ''
  expect(waysIn.length).toBeGreaterThan(0)
  expect(waysIn).toHaveLength([...section.matchAll(/^\| /gm)].length - 2)
})

test.each([
  ...rows.map(([, number, what, tests]) => [`invariant ${number}`, what, tests ?? '']),
  ...waysIn.map(([, way, tests]) => ['the defence', way, tests ?? '']),
])('the tests that prove %s exist: %s', (_which, _what, tests = '') => {
  const files = [...tests.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file)
  expect(files.length).toBeGreaterThan(0)
  expect(files.filter((file) => !existsSync(file))).toEqual([])
  for (const file of files) expect(readFileSync(file, 'utf8')).toMatch(/\b(?:test|it)(?:\.\w+)?\(/)
})

test.each(['SECURITY.md', 'CONTRIBUTING.md', 'docs/deployment.md'])('%s links to what is there', (page) => {
  const folder = page.startsWith('docs/') ? 'docs/' : ''
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https:)([^)#]+)\)/g)].map(
    ([, path = '']) => path,
  )
  expect(links.map((path) => `${folder}${path}`).filter((path) => !existsSync(path))).toEqual([])
})
