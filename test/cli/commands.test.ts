import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashKey } from '#admin/keys.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
let beside: Database

beforeAll(async () => {
  beside = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  await run(['tenant', 'add', 'acme'])
  await run(['tenant', 'add', 'globex'])
})

afterAll(async () => {
  await beside.close()
  folder.remove()
})

function file(name: string, content: unknown): string {
  const path = join(folder.path, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

async function json(...args: string[]): Promise<{ readonly [field: string]: unknown }> {
  const ran = await run([...args, '--json'])
  expect(ran.stderr).toBe('')
  return JSON.parse(ran.stdout)
}

async function errorOf(exit: number, ...args: string[]): Promise<unknown> {
  const ran = await run([...args, '--json'])
  expect(ran).toMatchObject({ exit, stdout: '' })
  return JSON.parse(ran.stderr).error
}

describe('tenants', () => {
  test('a tenant is added once and listed', async () => {
    expect(await json('tenant', 'add', 'initech')).toEqual({ tenant: 'initech' })
    expect(await errorOf(3, 'tenant', 'add', 'initech')).toEqual({
      code: 'tenant.exists',
      message: 'there is already a tenant `initech`',
    })
    const list = await json('tenant', 'list')
    expect(list).toContainEqual({
      tenant: 'initech',
      created_at: expect.any(String),
      state_version: expect.any(Number),
    })
  })

  test('a name that can not be a tenant is wrong input', async () => {
    expect(await errorOf(1, 'tenant', 'add', 'No Spaces')).toMatchObject({
      code: 'tenant.invalid',
      message: '`No Spaces` can not be the name of a tenant',
    })
  })
})

describe('settings of a gateway', () => {
  test('settings are given with the gateway or later, and `none` removes one', async () => {
    const url = [
      '--external-url',
      'https://api.example.com',
      '--external-host',
      'b.example',
      '--external-host',
      'c.example',
    ]
    await json('gateway', 'add', 'bound', '--tenant', 'acme', ...url)
    const set = ['gateway', 'set', 'bound', '--tenant', 'acme'] as const
    const settings = { externalUrl: 'https://api.example.com', externalHosts: ['b.example', 'c.example'] }
    const more = {
      certificateSource: 'nginx',
      audience: ['a', 'b'],
      resourceMetadata: 'https://api.example.com/m',
    }
    const flags = ['--certificate-source', 'nginx', '--audience', 'a', '--audience', 'b']
    const metadata = ['--resource-metadata', 'https://api.example.com/m']
    expect(await json(...set, ...flags, ...metadata)).toMatchObject({ settings: { ...settings, ...more } })
    const none = ['--external-host', 'none', '--certificate-source', 'none', '--audience', 'none']
    expect(await json(...set, ...none)).toMatchObject({
      settings: { externalUrl: settings.externalUrl, resourceMetadata: more.resourceMetadata },
    })
    expect(await errorOf(3, 'gateway', 'set', 'nobody', '--tenant', 'acme')).toMatchObject({
      code: 'gateway.unknown',
    })
    await json('gateway', 'revoke', 'bound', '--tenant', 'acme')
  })

  test.each([
    ['--external-url', 'http://api.example.com'],
    ['--external-url', 'https://user@api.example.com'],
    ['--external-url', 'https://api.example.com/?x=1'],
    ['--external-url', 'api.example.com'],
    ['--external-host', 'https://api.example.com'],
    ['--external-host', 'a b'],
    ['--certificate-source', 'header'],
    ['--audience', ''],
    ['--resource-metadata', 'x'],
  ])('%s %j is refused', async (...flags) => {
    expect(await errorOf(1, 'gateway', 'add', 'x', '--tenant', 'acme', ...flags)).toMatchObject({
      code: 'gateway.invalid',
    })
  })
})

describe('gateways', () => {
  test('a new key is shown once; the database keeps its hash and a hint', async () => {
    const added = await json('gateway', 'add', 'edge', '--tenant', 'acme', '--assert', 'context,identity')
    expect(Object.keys(added)).toEqual(['key', 'gateway', 'name', 'tenant'])
    const key = String(added['key'])
    expect(key).toMatch(/^wgk_[A-Za-z0-9_-]{43}$/)
    const list = JSON.stringify(await json('gateway', 'list', '--tenant', 'acme'))
    expect(list).toContain(key.slice(0, 10))
    expect(list).not.toContain(key)
    expect(list).not.toContain(hashKey(key))
    expect(JSON.parse(list)).toContainEqual(
      expect.objectContaining({
        name: 'edge',
        asserts: ['identity', 'context'],
        user_only: false,
        obligations: null,
      }),
    )
  })

  test('rotation makes another key, revocation ends them all', async () => {
    await json('gateway', 'add', 'turn', '--tenant', 'acme', '--user-only', '--obligations', 'none')
    const rotated = await json('gateway', 'rotate', 'turn', '--tenant', 'acme', '--keep-seconds', '60')
    expect(rotated['key']).toMatch(/^wgk_/)
    expect(await json('gateway', 'revoke', 'turn', '--tenant', 'acme')).toEqual({
      name: 'turn',
      tenant: 'acme',
      revoked: true,
    })
    expect(await errorOf(3, 'gateway', 'revoke', 'turn', '--tenant', 'acme')).toMatchObject({
      code: 'gateway.unknown',
    })
    expect(await errorOf(3, 'gateway', 'rotate', 'turn', '--tenant', 'acme')).toMatchObject({
      code: 'gateway.unknown',
    })
  })

  test.each([
    [1, ['--assert', 'idenity'], 'gateway.invalid', 'did you mean `identity`?'],
    [1, ['--obligations', 'stepup'], 'gateway.invalid', 'did you mean `step_up`?'],
  ])('exit %i for %j', async (exit, flags, code, help) => {
    expect(await errorOf(exit, 'gateway', 'add', 'x', '--tenant', 'acme', ...flags)).toMatchObject({
      code,
      help,
    })
  })

  test('an unknown tenant is refused everywhere with the same words', async () => {
    const refusal = {
      code: 'tenant.unknown',
      message: 'there is no tenant `nobody`',
      help: 'add it with `warder tenant add nobody`',
    }
    const registry = file('empty.json', { entities: [] })
    const issuer = file('issuer.json', {
      issuer: 'https://i.example',
      audience: ['a'],
      jwks_uri: 'https://i.example/jwks',
    })
    for (const args of [
      ['gateway', 'add', 'x'],
      ['gateway', 'list'],
      ['policy', 'list'],
      ['policy', 'show'],
      ['registry', 'list'],
      ['registry', 'import', registry],
      ['issuer', 'list'],
      ['issuer', 'add', issuer],
    ]) {
      expect(await errorOf(3, ...args, '--tenant', 'nobody')).toEqual(refusal)
    }
  })
})

describe('registry', () => {
  test('an import is stored and listed by type; a second one replaces', async () => {
    const users = [
      { uid: { type: 'user', id: 'ann' }, attrs: { level: 1 }, parents: [{ type: 'role', id: 'reader' }] },
    ]
    const imported = await json(
      'registry',
      'import',
      file('r.json', { entities: users, actions: ['read'] }),
      '--tenant',
      'acme',
    )
    expect(imported).toMatchObject({ tenant: 'acme', entities: 2 })
    expect(await json('registry', 'list', '--tenant', 'acme', '--type', 'user')).toEqual([
      { ...users[0], tags: {} },
    ])
    await json(
      'registry',
      'import',
      file('r.json', { entities: [{ uid: 'user::"ann"', attrs: { level: 2 } }] }),
      '--tenant',
      'acme',
    )
    expect(await json('registry', 'list', '--tenant', 'acme', '--type', 'user')).toMatchObject([
      { attrs: { level: 2 } },
    ])
    expect(await json('registry', 'list', '--tenant', 'globex')).toEqual([])
  })

  test('a file with any problem stores nothing and points at each one', async () => {
    const path = file('bad.json', {
      entities: [{ uid: 'user::"new"' }, { uid: 'user::"odd"', attrs: { share: 0.5 } }],
    })
    expect(await errorOf(1, 'registry', 'import', path, '--tenant', 'globex')).toMatchObject({
      code: 'registry.invalid',
      details: [{ path: 'entities[1].attrs.share', message: 'the number is not whole' }],
    })
    expect(await json('registry', 'list', '--tenant', 'globex')).toEqual([])
  })

  test('without a tenant a list covers all of them and says whose each entry is', async () => {
    const all = await json('registry', 'list', '--type', 'user')
    expect(all).toEqual([expect.objectContaining({ tenant: 'acme', uid: { type: 'user', id: 'ann' } })])
    expect((await run(['registry', 'list'])).stdout).toMatch(/^TENANT +TYPE +ID/)
  })

  test('lists page through everything: 1,200 entities arrive as one array', async () => {
    const entities = Array.from({ length: 1200 }, (_, i) => ({ uid: { type: 'doc', id: `${i}` } }))
    await json('registry', 'import', file('many.json', { entities }), '--tenant', 'initech')
    const listed = await json('registry', 'list', '--tenant', 'initech')
    expect(new Set((listed as unknown as { uid: { id: string } }[]).map(({ uid }) => uid.id)).size).toBe(1200)
    const table = await run(['registry', 'list', '--tenant', 'initech'])
    expect(table.stdout.trimEnd().split('\n')).toHaveLength(1201)
  })
})

describe('issuers', () => {
  test('an issuer is stored, replaced and listed', async () => {
    const issuer = {
      issuer: 'https://login.example',
      audience: ['pdp'],
      jwks_uri: 'https://login.example/jwks',
    }
    expect(await json('issuer', 'add', file('i.json', issuer), '--tenant', 'acme')).toEqual({
      issuer: 'https://login.example',
      tenant: 'acme',
      warnings: [],
    })
    await json('issuer', 'add', file('i.json', { ...issuer, audience: ['pdp', 'other'] }), '--tenant', 'acme')
    expect(await json('issuer', 'list', '--tenant', 'acme')).toMatchObject([{ audience: ['pdp', 'other'] }])
  })

  test.each([
    ['{', ''],
    [{ issuer: 'https://login.example', jwks_uri: 'https://login.example/jwks' }, 'audience'],
  ])('the issuer file %j is refused', async (content, path) => {
    expect(await errorOf(1, 'issuer', 'add', file('i.json', content), '--tenant', 'acme')).toMatchObject({
      code: 'issuer.invalid',
      details: expect.arrayContaining([expect.objectContaining({ path })]),
    })
  })
})
