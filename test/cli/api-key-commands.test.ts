import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
let run: Run
const json = async (...args: readonly string[]) => {
  const { exit, stdout, stderr } = await run([...args, '--json'])
  return exit === 0 ? JSON.parse(stdout) : { exit, ...JSON.parse(stderr) }
}
const at = ['--tenant', 'acme']

beforeAll(async () => {
  run = runner(folder.path)
  await run(['tenant', 'add', 'acme'])
  await run(['agent', 'add', 'bot', ...at, '--owner', 'ann', '--reason', 'a test'])
})
afterAll(() => folder.remove())

test('an API key is printed once, listed by its beginning, rotated and revoked', async () => {
  const added = await run(['apikey', 'add', 'nightly', ...at, '--agent', 'bot', '--expires', '30d'])
  expect(added.stdout).toMatch(/^wak_[A-Za-z0-9_-]{43}\n$/)
  const { key } = await json('apikey', 'rotate', 'nightly', ...at, '--keep', '1h')
  expect(key).toMatch(/^wak_/)
  const listed = await run(['apikey', 'list', '--agent', 'bot', '--json'])
  expect(JSON.parse(listed.stdout)).toMatchObject([{ name: 'nightly' }, { name: 'nightly', agent: 'bot' }])
  expect(listed.stdout).not.toContain(key)
  expect((await run(['apikey', 'list'])).stdout).toContain(key.slice(0, 10))
  expect(await json('apikey', 'revoke', 'nightly', ...at, '--reason', 'leaked')).toMatchObject({
    name: 'nightly',
  })
  expect(await json('apikey', 'list')).toEqual([])
  expect(await json('apikey', 'list', '--all')).toHaveLength(2)
  expect(await json('revoke', 'list', ...at)).toMatchObject([{ kind: 'token' }, { reason: 'leaked' }])
})

test('what can not be is said with its code, and what to do', async () => {
  expect(await json('apikey', 'add', 'k', ...at, '--agent', 'nobody')).toMatchObject({
    exit: 3,
    error: { code: 'agent.unknown' },
  })
  expect(await json('apikey', 'rotate', 'nothing', ...at)).toMatchObject({
    error: { code: 'api_key.unknown' },
  })
  expect((await run(['apikey', 'add', 'k', ...at])).exit).toBe(2)
  expect(await json('gateway', 'add', 'edge', ...at, '--api-keys', 'yes')).toMatchObject({
    error: { code: 'gateway.invalid' },
  })
  await run(['gateway', 'add', 'edge', ...at, '--api-keys', 'accept'])
  expect(await json('gateway', 'list')).toMatchObject([{ settings: { apiKeys: 'accept' } }])
  await run(['gateway', 'set', 'edge', ...at, '--api-keys', 'none'])
  expect(await json('gateway', 'list')).toMatchObject([{ settings: null }])
})

test('scopes and gateways of an API key are given one by one, and listed', async () => {
  await run(['gateway', 'add', 'north', ...at, '--api-keys', 'accept'])
  const add = [
    'apikey',
    'add',
    'limited',
    ...at,
    '--agent',
    'bot',
    '--scope',
    'crm.read',
    '--scope',
    'crm.list',
  ]
  expect(await json(...add, '--gateway', 'nowhere')).toMatchObject({ error: { code: 'gateway.unknown' } })
  const limits = { scopes: ['crm.read', 'crm.list'], gateways: ['north'] }
  expect(await json(...add, '--gateway', 'north')).toMatchObject({ name: 'limited', ...limits })
  expect(await json('apikey', 'rotate', 'limited', ...at)).toMatchObject(limits)
  expect((await run(['apikey', 'list', ...at])).stdout).toMatch(/limited .* crm\.read crm\.list +north /)
  await json('apikey', 'revoke', 'limited', ...at, '--reason', 'over')
})
