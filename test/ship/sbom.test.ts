import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

interface Component {
  readonly name: string
  readonly version: string
  readonly properties: readonly { readonly name: string; readonly value: string }[]
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly dev?: boolean; readonly integrity?: string }>
  >
}

/**
 * What `npm run sbom` writes. Without `--omit=dev`, with which npm 11 also leaves out packages that run in production and
 * that a development package wants as well (zod is one).
 */
async function sbom(): Promise<{
  readonly bomFormat: string
  readonly components: readonly Component[]
}> {
  const options = ['--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application']
  const { stdout } = await promisify(execFile)('npm', ['sbom', ...options], { maxBuffer: 16 * 1024 * 1024 })
  return JSON.parse(stdout) as Awaited<ReturnType<typeof sbom>>
}

test('the bill of materials names every package of the lock file with its hash, and marks those for development', async () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock
  const locked = Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
  const { bomFormat, components } = await sbom()
  expect(bomFormat).toBe('CycloneDX')
  const named = components.map(({ name, version }) => `${name}@${version}`)
  expect(named.toSorted()).toEqual([...new Set(locked)].toSorted())
  expect(
    components.filter(({ hashes = [] }) => hashes[0]?.alg !== 'SHA-512').map(({ name }) => name),
  ).toEqual([])
  const isMarked = ({ properties }: Component) =>
    properties.some(({ name, value }) => name === 'cdx:npm:package:development' && value === 'true')
  const marked = components.filter(isMarked).map(({ name }) => name)
  expect(marked).toContain('vitest')
  expect(marked).not.toContain('zod')
})
