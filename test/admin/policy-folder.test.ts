import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readPolicyFolder, readShippedPolicies } from '#admin/policy-folder.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'warder-folder-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('only policies, schemas and tests are read, sorted, without subfolders and hidden files', async () => {
  for (const inner of ['tests/deep', 'sub']) mkdirSync(join(folder, inner), { recursive: true })
  const names = ['b.cedar', 'a.cedar', 's.cedarschema', '.hidden.cedar', 'registry.json', 'notes.md']
  for (const name of [...names, 'tests/t.json', 'tests/x.cedar', 'tests/deep/d.json', 'sub/c.cedar']) {
    writeFileSync(join(folder, name), name)
  }
  const read = await readPolicyFolder(folder)
  expect(read.ok && read.value.map(({ name }) => name)).toEqual([
    'a.cedar',
    'b.cedar',
    's.cedarschema',
    'tests/t.json',
  ])
})

test('a byte order mark is dropped, text that is not UTF-8 is refused with its file', async () => {
  writeFileSync(join(folder, 'a.cedar'), '\ufeffpermit')
  const read = await readPolicyFolder(folder)
  expect(read.ok && read.value[0]?.text).toBe('permit')
  writeFileSync(join(folder, 'b.cedar'), Buffer.from([0x70, 0xff]))
  expect(await readPolicyFolder(folder)).toMatchObject({
    ok: false,
    failure: { code: 'file.encoding', message: `the file ${join(folder, 'b.cedar')} is not valid UTF-8` },
  })
})

test('the shipped guardrails and schema are found', async () => {
  const shipped = await readShippedPolicies()
  expect(shipped.guardrails.map(({ name }) => name)).toContain('tenant-isolation.cedar')
  expect(shipped.warderSchema).toContain('namespace Warder')
})
