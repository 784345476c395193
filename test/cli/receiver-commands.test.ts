import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
let run: Run
const at = ['--tenant', 'acme']
const json = async (...args: readonly string[]) => {
  const { exit, stdout, stderr } = await run(['signal', 'receiver', ...args, ...at, '--json'])
  return exit === 0 ? JSON.parse(stdout) : { exit, ...JSON.parse(stderr) }
}
const text = async (...args: readonly string[]) => await run(['signal', 'receiver', ...args, ...at])

beforeAll(async () => {
  run = runner(folder.path)
  await run(['tenant', 'add', 'acme'])
})
afterAll(() => folder.remove())

test('a credential is printed once, shown by its beginning, rotated and revoked', async () => {
  const added = await text('add', 'siem')
  expect(added.stdout).toMatch(/^wrk_[A-Za-z0-9_-]{43}\n$/)
  const key = added.stdout.trim()
  const rotated = await json('rotate', 'siem', '--keep', '1h')
  expect(rotated).toMatchObject({ tenant: 'acme', name: 'siem', key: expect.stringMatching(/^wrk_/) })
  const shown = await json('show', 'siem')
  expect(shown).toMatchObject({
    name: 'siem',
    stream: null,
    key_hints: [key.slice(0, 10), rotated.key.slice(0, 10)],
  })
  expect((await text('show', 'siem')).stdout).toContain('no stream')
  expect(await json('revoke', 'siem')).toEqual({ tenant: 'acme', name: 'siem', revoked: true })
  expect(await json('show', 'siem')).toMatchObject({ key_hints: [], status: 'disabled' })
})

test('receivers are listed with their queues, and removed', async () => {
  await json('add', 'soc', 'https://soc.example/events', '--webhook')
  await run(['revoke', 'agent', 'bot', ...at, '--reason', 'a test'])
  expect(await json('list')).toMatchObject([
    { name: 'siem', delivery: null },
    { name: 'soc', delivery: 'push', waiting: 1, dropped: 0 },
  ])
  expect((await text('list')).stdout).toMatch(
    /soc +webhook +to https:\/\/soc\.example\/events +enabled +1 +0/,
  )
  expect(await json('remove', 'soc')).toMatchObject({ removed: true })
  expect(await json('list')).toHaveLength(1)
})

test('what can not be is said with its code', async () => {
  expect(await json('add', 'siem')).toMatchObject({ exit: 3, error: { code: 'receiver.exists' } })
  expect(await json('add', 'x', 'http://r.example')).toMatchObject({ error: { code: 'receiver.invalid' } })
  for (const verb of ['show', 'rotate', 'revoke', 'remove'])
    expect(await json(verb, 'none')).toMatchObject({ exit: 3, error: { code: 'receiver.unknown' } })
})
