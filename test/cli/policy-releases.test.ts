import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabase } from '#store/database.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
let beside: Database
let first = ''
let second = ''

const READ = '@id("read")\npermit (principal in role::"reader", action == Action::"read", resource);\n'
const READ_ALL = READ.replace('role::"reader"', 'role::"staff"')
const WRITE = '@id("write")\npermit (principal in role::"writer", action == Action::"read", resource);\n'
const SCHEMA =
  'entity role;\nentity user in [role];\nentity doc;\naction read appliesTo { principal: user, resource: doc };\n'
const TESTS = JSON.stringify([
  {
    name: 'nobody',
    request: { principal: 'user::"x"', action: 'Action::"read"', resource: 'doc::"d"' },
    decision: 'deny',
  },
])

beforeAll(async () => {
  beside = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  await run(['tenant', 'add', 'acme'])
  await run(['tenant', 'add', 'empty'])
  first = await push(
    folderOf('first', { 'all.cedar': READ, 'own.cedarschema': SCHEMA, 'tests/read.json': TESTS }),
  )
  second = await push(folderOf('second', { 'all.cedar': `${READ_ALL}${WRITE}`, 'own.cedarschema': SCHEMA }))
})

afterAll(async () => {
  await beside.close()
  folder.remove()
})

function folderOf(name: string, files: { readonly [file: string]: string }): string {
  const path = join(folder.path, name)
  mkdirSync(join(path, 'tests'), { recursive: true })
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
  return path
}

async function push(path: string): Promise<string> {
  return (await json('policy', 'push', path, '--tenant', 'acme', '--activate'))['release'] as string
}

async function json(...args: string[]): Promise<{ readonly [field: string]: unknown }> {
  const ran = await run([...args, '--json'])
  expect(ran.stderr).toBe('')
  return JSON.parse(ran.stdout)
}

async function errorOf(exit: number, ...args: string[]): Promise<unknown> {
  const ran = await run([...args, '--json'])
  expect(ran).toMatchObject({ exit })
  return JSON.parse(ran.stderr).error
}

test('a pulled release is byte for byte what was pushed, and pushing it again gives the same release', async () => {
  const path = join(folder.path, 'deep', 'pulled')
  const pulled = await json('policy', 'pull', path, '--tenant', 'acme', '--release', first.slice(7, 19))
  const files = ['all.cedar', 'own.cedarschema', 'tests/read.json']
  expect(pulled).toEqual({ release: first, tenant: 'acme', directory: path, files, removed: [] })
  for (const name of files)
    expect(readFileSync(join(path, name))).toEqual(readFileSync(join(folder.path, 'first', name)))
  expect(await json('policy', 'push', path, '--tenant', 'acme')).toMatchObject({
    release: first,
    stored: false,
  })
})

test('a folder that holds anything is only written with --force, and then holds this release and no other policy', async () => {
  const path = folderOf('mine', { 'mine.cedar': WRITE, 'notes.txt': 'x', 'tests/mine.json': '[]' })
  expect(await errorOf(3, 'policy', 'pull', path, '--tenant', 'acme')).toMatchObject({
    code: 'folder.not_empty',
  })
  expect(readdirSync(path)).toEqual(['mine.cedar', 'notes.txt', 'tests'])
  expect(await json('policy', 'pull', path, '--tenant', 'acme', '--force')).toMatchObject({
    release: second,
    removed: ['mine.cedar', 'tests/mine.json'],
  })
  expect(readdirSync(path)).toEqual(['all.cedar', 'notes.txt', 'own.cedarschema', 'tests'])
})

test('without an active release, with an unknown release or a wrong folder nothing is written', async () => {
  const path = join(folder.path, 'nothing')
  expect(await errorOf(3, 'policy', 'pull', path, '--tenant', 'empty')).toMatchObject({
    code: 'release.unknown',
  })
  expect(await errorOf(3, 'policy', 'pull', path, '--tenant', 'acme', '--release', 'deadbeef')).toMatchObject(
    { code: 'release.unknown' },
  )
  expect(existsSync(path)).toBe(false)
  const inFile = join(folder.path, 'first', 'all.cedar', 'x')
  expect(await errorOf(1, 'policy', 'pull', inFile, '--tenant', 'acme')).toMatchObject({
    code: 'file.unwritable',
  })
})

test('releases and folders are compared by policy id and meaning', async () => {
  const same = await run(['policy', 'diff', 'active', join(folder.path, 'second'), '--tenant', 'acme'])
  expect(same).toEqual({ exit: 0, stdout: 'the same policies and schema\n', stderr: '' })
  const plain = await run(['policy', 'diff', first, 'active', '--tenant', 'acme'])
  expect(plain).toEqual({
    exit: 1,
    stdout: `added: permit write
changed: read (scope)
  @@ -1,2 +1,2 @@
   @id("read")
  -permit (principal in role::"reader", action == Action::"read", resource);
  +permit (principal in role::"staff", action == Action::"read", resource);
`,
    stderr:
      'error: policies differ: 1 added, 0 removed, 1 changed; 0 changes of the schema [policy.different]\n',
  })
  const other = await run(['policy', 'diff', 'active', first.slice(7, 19), '--tenant', 'acme', '--json'])
  expect(JSON.parse(other.stdout)).toMatchObject({
    same: false,
    removed: [{ id: 'write' }],
    changed: [{ id: 'read' }],
  })
  expect(JSON.parse(other.stderr).error.code).toBe('policy.different')
})

test('two folders need neither a tenant nor a database', async () => {
  const sides = [join(folder.path, 'first'), join(folder.path, 'second')]
  const env = { WARDER_DATABASE_URL: 'postgres://127.0.0.1:1/none' }
  expect(await run(['policy', 'diff', ...sides], { env })).toMatchObject({ exit: 1 })
  expect(await run(['policy', 'diff', ...sides.slice(1), ...sides.slice(1)], { env })).toMatchObject({
    exit: 0,
  })
})

test('a release without a tenant is a usage error, a folder that can not be read is named', async () => {
  expect(await errorOf(2, 'policy', 'diff', 'active', folder.path)).toMatchObject({ code: 'cli.usage' })
  expect(await errorOf(1, 'policy', 'diff', 'nowhere', join(folder.path, 'first'))).toMatchObject({
    code: 'folder.unreadable',
  })
  const broken = folderOf('broken', { 'a.cedar': 'permit(principal, actio, resource);' })
  expect(await errorOf(1, 'policy', 'diff', broken, join(folder.path, 'first'))).toMatchObject({
    code: 'policy.invalid',
    details: [{ path: 'a.cedar:1:19' }],
  })
})

test('rollback activates what was active before, says so, and a second one goes forward again', async () => {
  expect(await json('policy', 'rollback', '--tenant', 'acme')).toEqual({
    tenant: 'acme',
    release: first,
    before: second,
    active: true,
  })
  const listed = (await json('policy', 'list', '--tenant', 'acme')) as unknown
  expect(listed).toContainEqual(expect.objectContaining({ release: first, active: true }))
  const again = await run(['policy', 'rollback', '--tenant', 'acme'])
  expect(again).toEqual({
    exit: 0,
    stdout: `activated ${second}\nwhat was active before: ${first}\n`,
    stderr: '',
  })
})

test('without a release before the active one, rollback changes nothing', async () => {
  expect(await errorOf(3, 'policy', 'rollback', '--tenant', 'empty')).toMatchObject({
    code: 'release.no_previous',
  })
  expect(await errorOf(3, 'policy', 'rollback', '--tenant', 'nobody')).toMatchObject({
    code: 'tenant.unknown',
  })
})
