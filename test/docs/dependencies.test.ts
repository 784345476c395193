import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

test('docs/decisions/0001-dependencies.md says why for each package and names no other', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>
  const used = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
    Object.keys(manifest[kind] ?? {}),
  )
  const page = readFileSync('docs/decisions/0001-dependencies.md', 'utf8')
  const explained = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? '')
  expect(explained.toSorted()).toEqual(used.toSorted())
})

test('every version is exact', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>
  const versions = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
    Object.values(manifest[kind] ?? {}),
  )
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
})
