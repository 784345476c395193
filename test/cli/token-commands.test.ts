import { userInfo } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hashKey } from '#admin/keys.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
let beside: Database

beforeAll(async () => {
  beside = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  await run(['tenant', 'add', 'acme'])
})

afterAll(async () => {
  await beside.close()
  folder.remove()
})

async function json(...args: string[]) {
  const ran = await run([...args, '--json'])
  expect(ran.stderr).toBe('')
  return JSON.parse(ran.stdout)
}

test('a token is shown once, is valid until it is revoked, and its name is taken for ever', async () => {
  const added = await json('token', 'add', 'ci', '--role', 'author', '--tenant', 'acme', '--expires', '30d')
  expect(added).toEqual({
    token: expect.stringMatching(/^wat_[\w-]{43}$/),
    name: 'ci',
    role: 'author',
    tenants: ['acme'],
    expires_at: expect.stringMatching(/^\d{4}-/),
  })
  const days = (Date.parse(added.expires_at) - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(29.9)
  expect(days).toBeLessThanOrEqual(30)
  const store = createAdminStore(beside)
  expect(await store.findAdminToken(hashKey(added.token))).toEqual({
    name: 'ci',
    role: 'author',
    tenants: ['acme'],
  })
  const listed = await run(['token', 'list', '--json'])
  expect(JSON.parse(listed.stdout)).toMatchObject([{ name: 'ci', hint: added.token.slice(0, 10) }])
  expect(listed.stdout).not.toContain(added.token)
  expect(await json('token', 'revoke', 'ci')).toEqual({ name: 'ci', revoked: true })
  expect(await store.findAdminToken(hashKey(added.token))).toBeUndefined()
  const again = await run(['token', 'add', 'ci', '--role', 'viewer', '--json'])
  expect([again.exit, JSON.parse(again.stderr).error.code]).toEqual([3, 'token.exists'])
})

test.each([
  [['x', '--role', 'viwer'], 'token.invalid', '`viwer` is not a role', 'did you mean `viewer`?'],
  [['x y', '--role', 'viewer'], 'token.invalid', '`x y` can not be the name of a token', undefined],
  [['x', '--role', 'viewer', '--expires', '5s'], 'token.invalid', 'a token ends after 60 seconds', undefined],
])('token add %j is refused', async (args, code, message, help) => {
  const ran = await run(['token', 'add', ...args, '--json'])
  const { error } = JSON.parse(ran.stderr)
  expect([ran.exit, error.code]).toEqual([1, code])
  expect(error.message).toContain(message)
  if (help !== undefined) expect(error.help).toBe(help)
})

test('a token for an unknown tenant is refused', async () => {
  const ran = await run(['token', 'add', 'x', '--role', 'viewer', '--tenant', 'nowhere', '--json'])
  expect([ran.exit, JSON.parse(ran.stderr).error.code]).toEqual([3, 'tenant.unknown'])
})

test('changes by commands are in the audit, with the user and the command', async () => {
  await run(['gateway', 'add', 'edge', '--tenant', 'acme'])
  const rows = await json('audit', 'query', '--tenant', 'acme', '--limit', '1')
  expect(rows).toMatchObject([
    {
      actor: `cli:${userInfo().username}`,
      role: 'owner',
      route: 'warder gateway add',
      tenant: 'acme',
      target: 'edge',
      before: null,
      outcome: 'changed',
    },
  ])
  expect(JSON.stringify(rows)).not.toMatch(/wgk_[\w-]{12}/)
  const all = await json('audit', 'query')
  expect(all.map((row: { target: string }) => row.target)).toEqual(['edge', 'ci', 'ci', 'acme'])
})

test('a gateway with a client certificate gets no key, and no second gateway gets the certificate', async () => {
  const sha256 = 'AB:'.repeat(32).slice(0, -1)
  const add = (name: string, hex: string) =>
    run(['gateway', 'add', name, '--tenant', 'acme', '--certificate-sha256', hex, '--json'])
  expect(JSON.parse((await add('mtls', sha256)).stdout)).toMatchObject({ name: 'mtls', key: null })
  const listed = JSON.parse((await run(['gateway', 'list', '--tenant', 'acme', '--json'])).stdout)
  expect(listed).toContainEqual(expect.objectContaining({ name: 'mtls', key_hints: ['x509:abababab'] }))
  const codeOf = async (name: string, hex: string) => JSON.parse((await add(name, hex)).stderr).error.code
  expect(await codeOf('other', 'ab'.repeat(32))).toBe('gateway.certificate_taken')
  expect(await codeOf('other', 'ab')).toBe('gateway.invalid')
})
