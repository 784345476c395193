import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { acknowledgePosition, openStateSeen, type StateSeen } from '#store/state-seen.ts'

const A = 'aaaaaaaa-0000-4000-8000-000000000000'
const B = 'bbbbbbbb-0000-4000-8000-000000000000'

let folder = ''
const opened: StateSeen[] = []
const faults: unknown[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'warder-seen-'))
  faults.length = 0
})

afterEach(async () => {
  vi.useRealTimers()
  for (const each of opened.splice(0)) await each.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(): Promise<StateSeen> {
  const seen = await openStateSeen(folder, (error) => faults.push(error))
  opened.push(seen)
  return seen
}

async function rolledBack(seen: StateSeen, version: number, database = A) {
  return (await seen.compare({ database, version })).rolledBack
}

function acknowledge(version: number) {
  return acknowledgePosition(folder, { database: A, version }, async () => undefined)
}

function saved(): string {
  return readFileSync(join(folder, 'state-seen.json'), 'utf8')
}

test('a lower version than before a restart is a roll-back', async () => {
  const first = await open()
  expect(await rolledBack(first, 7)).toBeUndefined()
  expect(await rolledBack(first, 9)).toBeUndefined()
  await first.close()
  expect(await rolledBack(await open(), 8)).toEqual({ seen: 9, found: 8 })
})

test('a roll-back stays one when the version climbs again, also after a restart', async () => {
  const first = await open()
  await rolledBack(first, 9)
  expect(await rolledBack(first, 5)).toEqual({ seen: 9, found: 5 })
  expect(await rolledBack(first, 20)).toMatchObject({ found: 5 })
  expect(await rolledBack(await open(), 21)).toMatchObject({ found: 5 })
})

test('an acknowledgement is picked up by a process that runs, and counts anew from there', async () => {
  const [one, other] = [await open(), await open()]
  await rolledBack(one, 9)
  await rolledBack(one, 5)
  expect(await rolledBack(other, 5)).toBeUndefined()
  const before = (await one.compare({ database: A, version: 5 })).acknowledgement
  expect(await acknowledge(5)).toEqual({ seen: 9, found: 5 })
  const after = await one.compare({ database: A, version: 5 })
  expect(after.rolledBack).toBeUndefined()
  expect(after.acknowledgement).not.toBe(before)
  await rolledBack(one, 6)
  expect(await rolledBack(one, 5)).toEqual({ seen: 6, found: 5 })
})

test('nothing is acknowledged without a record of it', async () => {
  const seen = await open()
  await rolledBack(seen, 9)
  await rolledBack(seen, 5)
  const record = () => Promise.reject(new Error('no room for the record'))
  await expect(acknowledgePosition(folder, { database: A, version: 5 }, record)).rejects.toThrow('no room')
  expect(await rolledBack(seen, 5)).toEqual({ seen: 9, found: 5 })
})

test('without a roll-back there is nothing to acknowledge', async () => {
  expect(await acknowledge(5)).toBeUndefined()
  const seen = await open()
  await rolledBack(seen, 5)
  await seen.close()
  expect(await acknowledge(6)).toBeUndefined()
})

test('another database has versions of its own', async () => {
  const seen = await open()
  await rolledBack(seen, 9)
  expect(await rolledBack(seen, 1, B)).toBeUndefined()
  expect(await rolledBack(seen, 8)).toEqual({ seen: 9, found: 8 })
})

test('versions that rise fast are saved at most once a second, and at the end', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  const seen = await open()
  for (let version = 1; version <= 100; version++) await rolledBack(seen, version)
  await vi.advanceTimersByTimeAsync(1)
  while (!existsSync(join(folder, 'state-seen.json'))) await sleep(5)
  expect(JSON.parse(saved())).toMatchObject({ [A]: { version: 100 } })
  await rolledBack(seen, 101)
  await vi.advanceTimersByTimeAsync(900)
  await sleep(100)
  expect(JSON.parse(saved())).toMatchObject({ [A]: { version: 100 } })
  await seen.close()
  expect(JSON.parse(saved())).toEqual({ [A]: { version: 101 } })
})

test('servers that share the folder keep the highest of what they have seen', async () => {
  const [one, other] = [await open(), await open()]
  await rolledBack(one, 9)
  await rolledBack(other, 4)
  await one.close()
  await other.close()
  expect(JSON.parse(saved())).toEqual({ [A]: { version: 9 } })
})

test.each([
  '',
  '{',
  '[]',
  'null',
  '{"a":1}',
  '{"a":{"version":1.5}}',
  '{"a":{"version":1,"acknowledged":3}}',
])('a damaged file (%j) is an error, not an empty memory', async (text) => {
  writeFileSync(join(folder, 'state-seen.json'), text)
  await expect(open()).rejects.toThrow('state-seen.json is damaged')
})

test('a folder that can not be written is reported, and the process remembers all the same', async () => {
  const seen = await open()
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'in the way')
  await rolledBack(seen, 9)
  expect(await rolledBack(seen, 3).catch(() => 'refused')).not.toBeUndefined()
})
