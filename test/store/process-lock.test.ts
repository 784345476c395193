import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isProcessAlive, withProcessLock } from '#store/process-lock.ts'

const HOLDER = fileURLToPath(new URL('../support/lock-holder.ts', import.meta.url))
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'warder-lock-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const taken = async (path: string, wait = 200) => await withProcessLock(path, wait, async () => 'taken')
const holder = (changed: object) =>
  JSON.stringify({ token: 'abc', pid: process.pid, started: 'never', host: hostname(), ...changed })

/** A process id that no process has any more. */
function deadPid(): number {
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  return pid
}

test('only one of several processes is inside at a time, also when a stale lock lies there at first', async () => {
  const [lock, counter] = [join(folder, 'many.lock'), join(folder, 'counter')]
  writeFileSync(counter, '0')
  writeFileSync(lock, holder({ pid: deadPid() }))
  const exits = Array.from({ length: 4 }, () => {
    const child = spawn(process.execPath, [HOLDER, lock, counter, '25'], { stdio: 'inherit' })
    return new Promise((resolve) => child.once('exit', resolve))
  })
  expect(await Promise.all(exits)).toEqual([0, 0, 0, 0])
  expect(readFileSync(counter, 'utf8')).toBe('100')
  expect(readdirSync(folder)).toEqual(['counter'])
})

test('a lock of a dead process, of an earlier boot or without content is taken over', async () => {
  for (const content of [
    holder({ pid: deadPid() }),
    holder({ started: 'another boot:1' }),
    '',
    '{}',
    'junk',
  ]) {
    const lock = join(folder, 'stale.lock')
    writeFileSync(lock, content)
    expect(await taken(lock)).toBe('taken')
  }
})

test('a taker that died while it was taking over is no obstacle', async () => {
  const lock = join(folder, 'twice.lock')
  writeFileSync(lock, holder({ token: 'first', pid: deadPid() }))
  writeFileSync(`${lock}.first`, holder({ token: 'second', pid: deadPid() }))
  expect(await taken(lock)).toBe('taken')
})

test('a living holder is waited for, and named when it does not let go', async () => {
  const lock = join(folder, 'held.lock')
  await withProcessLock(lock, 1_000, async () => {
    await expect(taken(lock, 60)).rejects.toThrow(`process ${process.pid} holds ${lock} for too long`)
  })
  expect(await taken(lock)).toBe('taken')
})

test('a failure inside lets go of the lock', async () => {
  const lock = join(folder, 'failed.lock')
  await expect(withProcessLock(lock, 100, () => Promise.reject(new Error('inside')))).rejects.toThrow(
    'inside',
  )
  expect(await taken(lock)).toBe('taken')
})

test('a holder on another host is believed for two minutes', async () => {
  const lock = join(folder, 'foreign.lock')
  writeFileSync(lock, holder({ host: 'elsewhere', pid: deadPid() }))
  await expect(taken(lock, 60)).rejects.toThrow('for too long')
  const past = new Date(Date.now() - 121_000)
  utimesSync(lock, past, past)
  expect(await taken(lock)).toBe('taken')
})

test('process ids that can not be are not alive', () => {
  expect(isProcessAlive(process.pid)).toBe(true)
  expect(isProcessAlive(0)).toBe(false)
  expect(isProcessAlive(-1)).toBe(false)
  expect(isProcessAlive(deadPid())).toBe(false)
})
