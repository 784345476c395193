import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
let run: Run
const json = async (...args: readonly string[]) => {
  const { exit, stdout, stderr } = await run([...args, '--json'])
  return exit === 0 ? JSON.parse(stdout) : { exit, ...JSON.parse(stderr) }
}
const why = ['--reason', 'a test']

beforeAll(async () => {
  run = runner(folder.path)
  for (const tenant of ['acme', 'beta']) await run(['tenant', 'add', tenant])
})
afterAll(() => folder.remove())

test('an agent goes from its registration to its end by commands', async () => {
  const at = ['--tenant', 'acme', ...why]
  expect(await json('agent', 'add', 'bot', '--groups', 'readers', '--expires', '30d', ...at)).toMatchObject({
    agent: 'bot',
    status: 'pending',
    groups: ['readers'],
  })
  expect(await json('agent', 'activate', 'bot', ...at)).toMatchObject({
    exit: 3,
    error: { code: 'agent.ownerless' },
  })
  expect(await json('agent', 'activate', 'bot', '--owner', 'ann', ...at)).toMatchObject({ status: 'active' })
  expect(await json('agent', 'list', '--ownerless')).toEqual([])
  expect(await json('agent', 'list', '--dormant', '30')).toMatchObject([{ agent: 'bot', tenant: 'acme' }])
  expect(await json('agent', 'show', 'bot', '--tenant', 'acme')).toMatchObject({ owner: 'ann' })
  expect(await json('agent', 'retire', 'bot', ...at)).toMatchObject({ status: 'retired' })
  expect((await run(['agent', 'resume', 'bot', ...at])).stderr).toContain('agent.state')
  expect(await json('agent', 'show', 'nobody', '--tenant', 'acme')).toMatchObject({ exit: 3 })
})

test('a change without a reason is no change', async () => {
  expect((await run(['agent', 'add', 'x', '--tenant', 'acme'])).exit).toBe(2)
  expect(await json('agent', 'add', 'x', '--tenant', 'acme', '--reason', ' ')).toMatchObject({
    exit: 1,
    error: { code: 'reason.missing' },
  })
})

test('grants are added, listed by either end, and revoked', async () => {
  const add = ['grant', 'add', '--tenant', 'acme', '--from', 'user:alice', '--to', 'bot', ...why]
  const { grant } = await json(...add, '--tools', 'crm/*', '--scopes', 'read', '--expires', '1h')
  expect(await json('grant', 'list', '--to', 'bot')).toMatchObject([
    { grant, tools: ['crm/*'], scopes: ['read'] },
  ])
  expect(await json('grant', 'list', '--from', 'user:bob')).toEqual([])
  expect((await run(['grant', 'revoke', grant, '--tenant', 'acme', ...why])).stdout).toContain(
    'may not act for',
  )
  expect(await json('grant', 'list', '--tenant', 'acme')).toEqual([])
  expect(await json('grant', 'list', '--tenant', 'acme', '--all')).toMatchObject([
    { revoked_reason: 'a test' },
  ])
  expect(await json('grant', 'revoke', grant, '--tenant', 'acme', ...why)).toMatchObject({ exit: 3 })
})

test('a federation is proposed by one tenant, accepted by the other, and withdrawn', async () => {
  const terms = ['--agents', 'guest', '--tools', 'crm/*', '--expires', '90d', '--direction', 'in']
  const { federation, state } = await json(
    'federation',
    'propose',
    '--tenant',
    'acme',
    '--with',
    'beta',
    ...terms,
  )
  expect(state).toBe('proposed')
  expect(await json('federation', 'accept', federation, '--tenant', 'acme')).toMatchObject({ exit: 3 })
  expect(await json('federation', 'accept', federation, '--tenant', 'beta')).toMatchObject({
    state: 'in force',
  })
  expect(await json('federation', 'list', '--tenant', 'beta')).toMatchObject([{ federation, home: 'acme' }])
  const text = await run(['federation', 'withdraw', federation, '--tenant', 'beta', ...why])
  expect(text.stdout).toBe(`federation ${federation}: agents of beta in acme, withdrawn\n`)
})

test('a second issuer warns of the agents that then nobody can name, and they are listed', async () => {
  const jwk = { kty: 'OKP', crv: 'Ed25519', kid: 'k', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
  const add = async (name: string) => {
    const path = join(folder.path, 'issuer.json')
    writeFileSync(path, JSON.stringify({ issuer: name, audience: 'a', jwks: { keys: [jwk] } }))
    return await json('issuer', 'add', path, '--tenant', 'gamma')
  }
  await run(['tenant', 'add', 'gamma'])
  const at = ['--tenant', 'gamma', ...why]
  await run(['agent', 'add', 'anybody', ...at])
  await run(['agent', 'add', 'settled', '--issuer', 'https://one.example', ...at])
  await run(['agent', 'add', 'gone', ...at])
  await run(['agent', 'retire', 'gone', ...at])
  expect(await add('https://one.example')).toMatchObject({ warnings: [] })
  const { warnings } = await add('https://two.example')
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('`anybody`')
  expect(warnings[0]).not.toMatch(/settled|gone/)
  expect(await json('agent', 'list', '--issuerless', '--tenant', 'gamma')).toMatchObject([
    { agent: 'anybody' },
  ])
})
