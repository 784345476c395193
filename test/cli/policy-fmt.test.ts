import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run = runner(folder.path)
const UNTIDY = '// why\n@id("a")permit(principal,action,resource);\n'
const TIDY = '// why\n@id("a")\npermit (principal, action, resource);\n'

afterAll(() => folder.remove())

function folderOf(name: string, files: { readonly [file: string]: string }): string {
  const path = join(folder.path, name)
  mkdirSync(path)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
  return path
}

test('--check lists what is not in standard form, exits with 1 and writes nothing', async () => {
  const path = folderOf('check', { 'a.cedar': UNTIDY, 'b.cedar': TIDY.replace('"a"', '"b"') })
  const plain = await run(['policy', 'fmt', path, '--check'])
  expect(plain).toEqual({
    exit: 1,
    stdout: 'not in standard form: a.cedar\n1 of 2 files not in standard form\n',
    stderr: `error: the folder has files that are not in standard form [policy.unformatted]\nhelp: run \`warder policy fmt ${path}\`\n`,
  })
  const json = await run(['policy', 'fmt', path, '--check', '--json'])
  expect(JSON.parse(json.stdout)).toEqual({ ok: false, changed: ['a.cedar'], errors: [] })
  expect(JSON.parse(json.stderr).error.code).toBe('policy.unformatted')
  expect(readFileSync(join(path, 'a.cedar'), 'utf8')).toBe(UNTIDY)
})

test('files are rewritten whole, keep their mode and stay links, and are then in standard form', async () => {
  const path = folderOf('write', { 'a.cedar': UNTIDY })
  const elsewhere = join(folderOf('elsewhere', { 'b.cedar': UNTIDY.replace('"a"', '"b"') }), 'b.cedar')
  symlinkSync(elsewhere, join(path, 'b.cedar'))
  chmodSync(join(path, 'a.cedar'), 0o600)
  const ran = await run(['policy', 'fmt', path, '--json'])
  expect(JSON.parse(ran.stdout)).toEqual({ ok: true, changed: ['a.cedar', 'b.cedar'], errors: [] })
  expect(readFileSync(join(path, 'a.cedar'), 'utf8')).toBe(TIDY)
  expect(statSync(join(path, 'a.cedar')).mode & 0o777).toBe(0o600)
  expect(readFileSync(elsewhere, 'utf8')).toBe(TIDY.replace('"a"', '"b"'))
  expect(readdirSync(path)).toEqual(['a.cedar', 'b.cedar'])
  expect(await run(['policy', 'fmt', path, '--check'])).toMatchObject({ exit: 0, stderr: '' })
})

test('a file that does not parse is left as it is, and the others are still formatted', async () => {
  const path = folderOf('broken', { 'a.cedar': 'permit(principal, actio, resource);\n', 'b.cedar': UNTIDY })
  const ran = await run(['policy', 'fmt', path])
  expect(ran.exit).toBe(1)
  expect(ran.stderr).toMatch(/^a\.cedar:1:19: error: /)
  expect(ran.stderr).toContain('error: files that can not be parsed were left as they are [policy.invalid]')
  expect(readFileSync(join(path, 'a.cedar'), 'utf8')).toBe('permit(principal, actio, resource);\n')
  expect(readFileSync(join(path, 'b.cedar'), 'utf8')).toBe(TIDY)
})

test.each(['policies/guardrails', 'policies/examples/demo', 'policies/examples/authzen-todo'])(
  '%s is in standard form',
  async (path) => {
    expect(await run(['policy', 'fmt', path, '--check'])).toMatchObject({ exit: 0 })
  },
)
