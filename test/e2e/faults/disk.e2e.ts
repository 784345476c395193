import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { send } from '../http.ts'
import { until } from '../ports.ts'
import { countKinds, kindsOf, startFleet } from './fleet.ts'
import { figure, loggedDecisions, notLoggedOnce, openStage, type Stage } from './stage.ts'

const run = promisify(execFile)
/** Enough for an empty database and its write-ahead log. */
const DISK_MEGABYTES = 192
const DENIES_WITHIN_MILLISECONDS = 15_000
const BACK_WITHIN_MILLISECONDS = 10_000

const folder = mkdtempSync(join(tmpdir(), 'warder-disk-'))
const filler = join(folder, 'filler')
let stage: Stage

beforeAll(async () => {
  // Fails for other accounts: a drill is never skipped.
  await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m,mode=0755`, 'tmpfs', folder])
  stage = await openStage({}, { dataDir: folder })
})

afterAll(async () => {
  try {
    await stage.warder.remove()
  } finally {
    await run('umount', [folder])
    rmSync(folder, { recursive: true })
  }
})

/** Fills the small disk to its last byte. */
function takeSpace(): void {
  const file = openSync(filler, 'w')
  const block = Buffer.alloc(1_048_576)
  for (let size = block.length; size >= 4_096; ) {
    try {
      writeSync(file, block, 0, size)
    } catch {
      size /= 2
    }
  }
  closeSync(file)
}

test('on a full disk everything is denied, nothing ends, and decisions are back once there is space', async () => {
  const { warder, question } = stage
  const pid = warder.pid()
  const fleet = startFleet({ ports: () => [warder.decisionPort], question, clients: 32, onError: 'end' })
  await sleep(500)
  takeSpace()
  const fullAt = performance.now()
  const denied = await until('everything is denied', DENIES_WITHIN_MILLISECONDS, async () => {
    return (await stage.ask()).kind === 'log.unavailable'
  })
  await sleep(3_000)
  expect((await send(warder.adminPort, { path: '/livez' })).status).toBe(200)
  const before = fleet.outcomes.filter(({ at }) => at > performance.now() - 1_000)
  // The queue of rows is bounded: once it is full, a decision is denied without waiting.
  expect(before.filter(({ kind }) => kind !== 'log.unavailable' && kind !== 'log.overflow')).toEqual([])
  const full = performance.now() - fullAt
  rmSync(filler)
  const back = await until(
    'a decision is allowed again',
    60_000,
    async () => (await stage.ask()).kind === 'allow',
  )
  await sleep(500)
  await fleet.stop()
  figure('full-disk', {
    ...countKinds(fleet.outcomes),
    denied: Math.round(denied),
    full: Math.round(full),
    back: Math.round(back),
  })
  expect(warder.pid()).toBe(pid)
  expect([...kindsOf(fleet.outcomes)].filter((kind) => kind !== 'log.overflow').toSorted()).toEqual([
    'allow',
    'log.unavailable',
  ])
  expect(back).toBeLessThan(BACK_WITHIN_MILLISECONDS)
  expect(notLoggedOnce(fleet.outcomes, await loggedDecisions(warder))).toEqual([])
})
