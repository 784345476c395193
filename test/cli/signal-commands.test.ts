import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SsfTransmitter, startSsfTransmitter } from '../support/ssf-transmitter.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
let run: Run
let transmitter: SsfTransmitter
const at = ['--tenant', 'acme']
const json = async (...args: readonly string[]) => {
  const { exit, stdout, stderr } = await run([...args, ...at, '--json'])
  return exit === 0 ? JSON.parse(stdout) : { exit, ...JSON.parse(stderr) }
}

beforeAll(async () => {
  run = runner(folder.path)
  await run(['tenant', 'add', 'acme'])
  transmitter = await startSsfTransmitter()
})
afterAll(async () => {
  await transmitter.close()
  folder.remove()
})

test('a stream is set up, asked about, changed and removed at its transmitter', async () => {
  const file = join(folder.path, 'idp.json')
  const access = { secret: 'management-token' }
  const { issuer } = transmitter
  writeFileSync(file, JSON.stringify({ issuer, private_network: true, transmitter: access }))
  const added = await json('signal', 'add', 'idp', file)
  expect(added).toMatchObject({ transmitter_stream: 'st-1', delivery: 'poll', check_fault: null })
  const listed = await run(['signal', 'list', ...at])
  expect(listed.stdout).toMatch(/waiting until 20.*Z/)
  expect(listed.stdout).not.toContain('management-token')
  expect(await json('signal', 'show', 'idp')).toMatchObject({ stream_id: 'st-1' })
  expect(await json('signal', 'status', 'idp')).toEqual({ status: 'enabled' })
  const set = ['signal', 'status', 'idp', '--set', 'paused']
  expect(await json(...set)).toMatchObject({ exit: 1, error: { code: 'reason.missing' } })
  expect((await run([...set, ...at, '--reason', 'we move'])).stdout).toBe('paused: we move\n')
  expect(await json('signal', 'list')).toMatchObject([{ standing: 'paused' }])
  expect(await json('signal', 'verify', 'idp', '--request')).toEqual({ asked: true, within_seconds: 600 })
  expect(await json('signal', 'verify', 'idp')).toMatchObject({
    exit: 3,
    error: { code: 'stream.unverified' },
  })
  const event = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
  const updated = await json('signal', 'update', 'idp', '--reason', 'less', '--event', event)
  expect(updated).toMatchObject({ events_delivered: [event] })
  const subject = '{"format":"email","email":"ann@example.com"}'
  for (const change of ['add', 'remove'])
    expect(await json('signal', 'subject', change, 'idp', subject, '--reason', 'a test')).toEqual({
      done: true,
    })
  expect(await json('signal', 'subject', 'add', 'idp', 'ann', '--reason', 'a test')).toMatchObject({
    exit: 1,
    error: { code: 'stream.invalid' },
  })
  expect(await json('signal', 'remove', 'idp', '--reason', 'over')).toMatchObject({ removed: true })
  expect(transmitter.streams.size).toBe(0)
  expect(await json('signal', 'show', 'idp')).toMatchObject({ exit: 3, error: { code: 'stream.unknown' } })
}, 300_000)
