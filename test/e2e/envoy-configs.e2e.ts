import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, inject, test } from 'vitest'
import { parse } from 'yaml'

const validate = (file: string) => promisify(execFile)(inject('envoy'), ['--mode', 'validate', '-c', file])
const isBootstrap = (text: string) => /^static_resources:/m.test(text)
const files = globSync(['integrations/**/*.{yaml,yml}', 'demo/**/*.{yaml,yml}']).filter((file) =>
  isBootstrap(readFileSync(file, 'utf8')),
)
// Pages show whole configurations, or a filter alone.
const blocks = globSync('docs/**/*.md').flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(/^```ya?ml\n([\s\S]*?)^```/gm)]
    .map((match) => match[1] ?? '')
    .filter((text) => isBootstrap(text) || text.includes('type.googleapis.com/envoy'))
    .map((text, i) => [`${page}, number ${i + 1}`, text] as const),
)

describe('Envoy takes every configuration of its own that we ship', () => {
  test('there are some', () => expect(files.length).toBeGreaterThanOrEqual(3))

  test.each(files)('%s', async (file) => {
    await validate(file)
    // A config that names the filter but lets calls pass without an answer must not be shipped.
    expect(readFileSync(file, 'utf8')).toMatch(/failure_mode_allow: false/)
  })

  test.each(blocks)('%s', async (_where, text) => {
    expect(() => parse(text)).not.toThrow()
    if (!isBootstrap(text)) return
    const folder = mkdtempSync(join(tmpdir(), 'warder-envoy-'))
    const file = join(folder, 'envoy.yaml')
    writeFileSync(file, text)
    await validate(file).finally(() => rmSync(folder, { recursive: true }))
  })

  test('and refuses one that is broken', async () => {
    await expect(validate('integrations/nginx/warder.conf')).rejects.toThrow(/Command failed/)
  })
})
