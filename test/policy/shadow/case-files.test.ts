import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Difference, differenceOf } from '#policy/shadow/capture.ts'
import { createKeepCase } from '#policy/shadow/case-files.ts'
import { ask, POLICIES, tenantOf } from './engines.ts'

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'warder-cases-')), 'cases')
})
afterEach(() => rm(join(folder, '..'), { recursive: true }))

async function difference(): Promise<Difference> {
  const { id, release } = await tenantOf('acme')
  const answers = {
    reference: { satisfied: [], errored: [] },
    compiled: { satisfied: ['low'], errored: [] },
  }
  return differenceOf('live', id, release, ask(90), answers, [0, 1])
}

test('a case is kept with everything that it takes to see it again, for this user alone', async () => {
  const keep = createKeepCase(folder, () => 1_000)
  const file = await keep(await difference())
  expect(file).toBe(join(folder, '1000-0.json'))
  const { mode } = await stat(file ?? '')
  expect(mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(JSON.parse(await readFile(file ?? '', 'utf8'))).toMatchObject({
    source: 'live',
    tenant: 'acme',
    policies: { low: POLICIES[0], marked: POLICIES[1] },
    reference: { satisfied: [] },
    compiled: { satisfied: ['low'] },
    request: { principal: { type: 'A', id: 'p' }, context: { risk: 90 } },
    entities: [{ uid: { type: 'R', id: 'r' }, attrs: { marked: false }, parents: [] }],
  })
})

test('the folder does not grow without end', async () => {
  const keep = createKeepCase(folder, () => 1_000)
  const each = await difference()
  const kept = await Promise.all(Array.from({ length: 30 }, () => keep(each)))
  expect(kept.filter((file) => file !== undefined)).toHaveLength(20)
  expect(await readdir(folder)).toHaveLength(20)
})
