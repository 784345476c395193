import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { renderLintReference } from '#cli/lint-reference.ts'
import { DIAGNOSTIC_CODES } from '#policy/compile/diagnostic.ts'
import { runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run = runner(folder.path)

afterAll(() => folder.remove())

test('docs/lint.md is what the rules say about themselves, and names every code', async () => {
  const text = renderLintReference()
  for (const code of Object.keys(DIAGNOSTIC_CODES)) expect(text).toContain(code)
  await expect(text).toMatchFileSnapshot('../../docs/lint.md')
})

test('a warning stops nothing, and with --strict it is an error', async () => {
  const path = join(folder.path, 'folder')
  mkdirSync(path)
  writeFileSync(
    join(path, 'a.cedar'),
    '@id("f")\nforbid (principal is Warder::Agent, action == Warder::Action::"a/b", resource);\n',
  )
  const loose = await run(['policy', 'check', path, '--json'])
  expect(loose).toMatchObject({ exit: 0, stderr: '' })
  expect(JSON.parse(loose.stdout)).toMatchObject({
    ok: true,
    errors: [],
    warnings: [
      { code: 'lint.forbid_without_reason', severity: 'warning', file: 'a.cedar', line: 1, policy: 'f' },
    ],
  })
  for (const command of [['check'], ['test'], ['push', '--tenant', 'acme']]) {
    const strict = await run(['policy', ...command, path, '--strict', '--json'])
    expect(strict.exit).toBe(1)
    expect(JSON.parse(strict.stderr).error).toMatchObject({ code: 'policy.invalid' })
  }
  const plain = await run(['policy', 'check', path, '--strict'])
  expect(plain.stderr).toMatch(
    /^a\.cedar:1:1: error: the forbid does not say why \[lint\.forbid_without_reason\]/,
  )
})
