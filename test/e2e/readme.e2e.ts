import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWarder, type Warder } from './warder.ts'

const readme = readFileSync('README.md', 'utf8')
const opened: Warder[] = []
let printed = ''

beforeAll(async () => {
  const warder = await startWarder()
  opened.push(warder)
  printed = curlIn(warder.output())
})

afterAll(async () => {
  for (const each of opened) await each.remove()
})

/** The line that begins with `curl `. */
function curlIn(text: string): string {
  const line = text.split('\n').find((each) => each.startsWith('curl '))
  if (line === undefined) throw new Error('there is no line that begins with `curl `')
  return line
}

/** The text with everything that differs between two installations made equal. */
function normalize(text: string): string {
  return text
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replace(/wgk_[\w-]{43}/g, 'KEY')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')
    .replace(/sha256:[0-9a-f]{64}/g, 'RELEASE')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
}

test('the README shows the request that a first start prints', () => {
  expect(normalize(curlIn(readme))).toBe(normalize(printed))
})

test('the README shows what this request is answered, to the last member', async () => {
  const { stdout } = await promisify(execFile)('bash', ['-c', printed])
  const shown = /```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const parse = (text: string): unknown => JSON.parse(normalize(text))
  expect(parse(stdout)).toEqual(parse(shown))
})

test('every file and folder that the README links to exists', () => {
  const links = [...readme.matchAll(/\]\((?!https:)([^)]+)\)/g)].map(([, path = '']) => path)
  expect(links.length).toBeGreaterThan(5)
  expect(links.filter((path) => !existsSync(path))).toEqual([])
})
