import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import type { ServeOptions } from '#cli/options.ts'
import { watchText } from '#cli/watch-text.ts'
import { runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const policies = join(folder.path, 'policies')
const POLICY = '@id("one")\npermit (principal == user::"ann", action == Action::"read", resource);\n'
const OUTSIDE = { WARDER_DATABASE_URL: 'postgres://127.0.0.1:1/warder' }

mkdirSync(policies)
writeFileSync(join(policies, 'a.cedar'), POLICY)

afterAll(() => folder.remove())

async function served(args: readonly string[], env: { readonly [variable: string]: string } = {}) {
  const given: ServeOptions['watched'][] = []
  const workers: ServeOptions['workers'][] = []
  const serve = async (options: ServeOptions) => {
    given.push(options.watched)
    workers.push(options.workers)
  }
  const ran = await runner(folder.path, serve)(['serve', ...args], { env })
  return { ...ran, given, workers }
}

test('without options nothing is watched', async () => {
  expect(await served([])).toMatchObject({ exit: 0, given: [undefined] })
})

test('the number of processes is passed on', async () => {
  expect((await served(['--workers', '3'])).workers).toEqual(['3'])
  expect((await served([])).workers).toEqual([undefined])
})

test('a folder is watched for the tenant demo or another one', async () => {
  const args = ['--policies', policies, '--watch']
  expect((await served(args)).given).toEqual([{ directory: policies, tenant: 'demo', json: false }])
  expect((await served([...args, '--tenant', 'acme', '--json'])).given).toEqual([
    { directory: policies, tenant: 'acme', json: true },
  ])
})

test('an outside database is refused, unless it is said to be for development', async () => {
  const args = ['--policies', policies, '--watch', '--json']
  const refused = await served(args, OUTSIDE)
  expect(refused).toMatchObject({ exit: 3, given: [] })
  expect(JSON.parse(refused.stderr).error.code).toBe('serve.watch_refused')
  expect(await served([...args, '--dev'], OUTSIDE)).toMatchObject({ exit: 0, given: [{ tenant: 'demo' }] })
})

test.each([
  [['--watch'], 2, 'cli.usage'],
  [['--policies', policies], 2, 'cli.usage'],
  [['--policies', join(policies, 'none'), '--watch'], 1, 'folder.unreadable'],
  [['--policies', policies, '--watch', '--tenant', 'no tenant'], 3, 'tenant.unknown'],
])('%j does not start a server', async (args, exit, code) => {
  const ran = await served([...args, '--json'])
  expect(ran).toMatchObject({ exit, given: [] })
  expect(JSON.parse(ran.stderr).error.code).toBe(code)
})

test('an address that is in use is the environment at fault, and the message names it', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const listen = async () => {
    await once(createServer().listen(port, '127.0.0.1'), 'listening')
  }
  const ran = await runner(folder.path, listen)(['serve', '--json'])
  taken.close()
  expect(ran).toMatchObject({ exit: 2, stdout: '' })
  expect(JSON.parse(ran.stderr).error).toMatchObject({
    code: 'listen.refused',
    message: `can not listen on 127.0.0.1:${port}: the address is in use`,
  })
})

test.each(['ECONNREFUSED', '28P01', '3D000'])(
  'a server without its database (%s) ends with 4',
  async (code) => {
    const refuse = () => Promise.reject(Object.assign(new Error('login of s3cret refused'), { code }))
    const env = { WARDER_DATABASE_URL: 'postgres://warder:s3cret@127.0.0.1:1/warder' }
    const ran = await runner(folder.path, refuse)(['serve', '--json'], { env })
    expect(ran).toMatchObject({ exit: 4, stdout: '' })
    expect(JSON.parse(ran.stderr).error.code).toBe('database.unavailable')
    expect(ran.stderr).not.toMatch(/s3cret/)
  },
)

test('a running server publishes what is saved, prints findings and keeps the last good release', async () => {
  const server = spawn(
    process.execPath,
    ['src/main.ts', 'serve', '--policies', policies, '--watch', '--json'],
    {
      env: {
        ...process.env,
        WARDER_DATA_DIR: join(folder.path, 'data'),
        WARDER_LISTEN: '127.0.0.1:0',
        WARDER_ADMIN_LISTEN: '127.0.0.1:0',
        WARDER_EXT_AUTHZ_LISTEN: '127.0.0.1:0',
      },
    },
  )
  let printed = ''
  server.stdout.on('data', (chunk) => {
    printed += chunk
  })
  const events = () =>
    printed
      .split('\n')
      .filter((line) => line.startsWith('{"kind"'))
      .map((line) => JSON.parse(line))
  const exited = new Promise((resolve) => server.once('exit', resolve))
  try {
    await vi.waitFor(() => expect(events()).toMatchObject([{ kind: 'active' }]), { timeout: 60_000 })
    writeFileSync(join(policies, 'a.cedar'), 'permit (principal, actio, resource);')
    await vi.waitFor(() => expect(events()[1]).toMatchObject({ kind: 'refused' }), { timeout: 60_000 })
    expect(events()[1].diagnostics).toContainEqual(
      expect.objectContaining({ code: 'policy.syntax', file: 'a.cedar', line: 1 }),
    )
    writeFileSync(join(policies, 'a.cedar'), POLICY.replace('one', 'two'))
    await vi.waitFor(() => expect(events()[2]).toMatchObject({ kind: 'active' }), { timeout: 60_000 })
  } finally {
    server.kill('SIGTERM')
  }
  expect(await exited).toBe(0)
}, 240_000)

test('for people, findings come with their line and the state in words', () => {
  const diagnostics = [
    {
      severity: 'error',
      code: 'policy.syntax',
      message: 'no',
      file: 'a.cedar',
      line: 2,
      column: 1,
      source: 'x',
    },
  ] as const
  expect(watchText({ kind: 'refused', diagnostics }, false)).toBe(
    'a.cedar:2:1: error: no [policy.syntax]\n2 | x\n  | ^\n\npolicies: the folder has errors; what was active stays active\n',
  )
  expect(watchText({ kind: 'failed', code: 'folder.empty', message: 'no .cedar file' }, false)).toBe(
    'policies: no .cedar file; trying again [folder.empty]\n',
  )
})
