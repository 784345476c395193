import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabase } from '#store/database.ts'
import { AUDIENCE, claims, ISSUER, makeKey, NOW_SECONDS, type SigningKey, sign } from '../support/tokens.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
let beside: Database
let key: SigningKey
let issuerFile: string
const AT = new Date(NOW_SECONDS * 1000).toISOString()

function file(name: string, content: string): string {
  const path = join(folder.path, name)
  writeFileSync(path, content)
  return path
}

beforeAll(async () => {
  beside = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  key = await makeKey('ES256', 'k')
  issuerFile = file(
    'issuer.json',
    JSON.stringify({ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [key.jwk] } }),
  )
  await run(['tenant', 'add', 'acme'])
  await run(['issuer', 'add', issuerFile, '--tenant', 'acme'])
})

afterAll(async () => {
  await beside.close()
  folder.remove()
})

const outcomes = (stdout: string) =>
  JSON.parse(stdout).rules.map(({ rule, outcome }: { rule: string; outcome: string }) => `${rule} ${outcome}`)

test('a good token passes every rule at its time', async () => {
  const path = file('good.jwt', `${await sign(key)}\n`)
  const ran = await run(['identity', 'explain', path, '--tenant', 'acme', '--at', AT, '--json'])
  expect([ran.exit, ran.stderr]).toEqual([0, ''])
  expect(JSON.parse(ran.stdout).accepted).toBe(true)
  expect(outcomes(ran.stdout)).toEqual(
    [
      'form',
      'issuer',
      'header',
      'signature',
      'kind of token',
      'subject',
      'required claims',
      'audience',
      'binding',
      'dates',
      'facts',
    ].map((rule) => `${rule} passed`),
  )
})

test.each<[string, object, object, string, string]>([
  ['another typ', {}, { typ: 'JWT' }, 'header', 'token.type'],
  ['another issuer', { iss: 'https://evil.example' }, {}, 'issuer', 'token.issuer_unknown'],
  ['an unknown key', {}, { kid: 'other' }, 'signature', 'token.key_unknown'],
  ['a nonce', { nonce: 'n' }, {}, 'kind of token', 'token.type'],
  ['no jti', { jti: undefined }, {}, 'required claims', 'token.claim_missing'],
  ['another audience', { aud: 'x' }, {}, 'audience', 'token.audience'],
  ['an odd binding', { cnf: { jwk: {} } }, {}, 'binding', 'pop.method_unsupported'],
  ['an early end', { exp: NOW_SECONDS - 40 }, {}, 'dates', 'token.expired'],
  ['scopes that are a number', { scope: 7 }, {}, 'facts', 'token.claim_invalid'],
])('a token with %s fails at its rule, those after it are skipped, and it is not shown', async (...row) => {
  const [, payload, header, rule, code] = row
  const token = await sign(key, claims(payload as never), header)
  const path = file('bad.jwt', token)
  const ran = await run(['identity', 'explain', path, '--tenant', 'acme', '--at', AT, '--json'])
  expect(ran.exit).toBe(1)
  const { rules } = JSON.parse(ran.stdout)
  const at = rules.findIndex((each: { outcome: string }) => each.outcome !== 'passed')
  expect(rules[at]).toMatchObject({ rule, outcome: 'failed', code })
  expect(rules.slice(at + 1).every((each: { outcome: string }) => each.outcome === 'skipped')).toBe(true)
  expect(rules).toHaveLength(11)
  expect(ran.stdout + ran.stderr).not.toContain(token.slice(0, 20))
})

test('without a time a token is judged as of now', async () => {
  const path = file('now.jwt', await sign(key))
  const ran = await run(['identity', 'explain', path, '--tenant', 'acme', '--json'])
  expect(ran.exit).toBe(1)
})

test('an issuer file is tested without storing anything', async () => {
  const ran = await run(['issuer', 'test', issuerFile, '--json'])
  expect(JSON.parse(ran.stdout)).toEqual({ issuer: ISSUER, keys: 1 })
  const noAudience = file('bad.json', JSON.stringify({ issuer: ISSUER, jwks: { keys: [key.jwk] } }))
  const bad = await run(['issuer', 'test', noAudience, '--json'])
  expect(bad.exit).toBe(1)
  expect(JSON.parse(bad.stderr).error.details).toMatchObject([{ path: 'audience' }])
  const token = file('foreign.jwt', await sign(key, claims({ aud: 'x' })))
  const judged = await run(['issuer', 'test', issuerFile, '--token', token, '--json'])
  expect(judged.exit).toBe(1)
  expect(JSON.parse(judged.stderr).error.code).toBe('token.audience')
})

test('keys are reloaded on command, with an audit row; an unknown issuer is refused', async () => {
  const ran = await run(['issuer', 'reload', ISSUER, '--tenant', 'acme', '--json'])
  expect(JSON.parse(ran.stdout)).toEqual({ issuer: ISSUER, tenant: 'acme', reloaded: true })
  const [listed] = JSON.parse((await run(['issuer', 'list', '--tenant', 'acme', '--json'])).stdout)
  expect(listed.keysRevision).toBeGreaterThan(0)
  const unknown = await run(['issuer', 'reload', 'https://nobody.example', '--tenant', 'acme', '--json'])
  expect([unknown.exit, JSON.parse(unknown.stderr).error.code]).toEqual([3, 'issuer.unknown'])
})

test.each<[string, string, object]>([
  ['introspection', 'https://opaque.example', {}],
  ['token_exchange', 'https://exchange.example', { revocation_url: 'https://exchange.example/revoke' }],
])('the secret of %s is sealed before it is stored and shown nowhere', async (part, issuer, more) => {
  const secret = 'correct-horse-battery'
  const path = file(
    'opaque.json',
    JSON.stringify({
      issuer,
      audience: AUDIENCE,
      jwks_uri: part === 'introspection' ? undefined : `${issuer}/jwks`,
      [part]: {
        url: `${issuer}/ask`,
        client_id: 'rs',
        authentication: 'client_secret_basic',
        secret,
        ...more,
      },
    }),
  )
  expect(await run(['issuer', 'add', path, '--tenant', 'acme', '--json'])).toMatchObject({ exit: 0 })
  const [row] = await beside.sql`select record::text as text from issuers where issuer = ${issuer}`
  expect(row?.['text']).toMatch(/"secret":"v1\./)
  expect(row?.['text']).not.toContain(secret)
  const listed = await run(['issuer', 'list', '--tenant', 'acme', '--json'])
  expect(listed.stdout).toContain('"secret":"sealed"')
  const audit = await run(['audit', 'query', '--tenant', 'acme', '--json'])
  expect(audit.stdout).toContain(issuer)
  expect(audit.stdout).not.toMatch(/v1\.|correct-horse/)
})

/** The JSON blocks of docs/identity.md with what a reader fills in. */
async function documentedFiles(): Promise<readonly JsonFile[]> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const { x = '', y = '', d = '' } = await exportJWK(privateKey)
  const page = readFileSync('docs/identity.md', 'utf8')
  const blocks = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, block = '']) => block.trim())
  return blocks.map((block) => {
    const filled = block
      .replaceAll('TENANT-GUID', '11111111-2222-4333-8444-555555555555')
      .replaceAll('"x": "…", "y": "…", "d": "…"', JSON.stringify({ x, y, d }).slice(1, -1))
    return JSON.parse(filled.startsWith('{') ? filled : `{${filled}}`)
  })
}

interface JsonFile {
  readonly issuer?: string
  readonly profile?: string
  readonly introspection?: object
  readonly token_exchange?: object
}

test('each issuer file of the documentation is accepted, and listed without its secret', async () => {
  const documented = await documentedFiles()
  const files = documented.filter(({ issuer }) => issuer !== undefined)
  expect(files.map(({ profile }) => profile)).toEqual(['keycloak', 'entra', 'spiffe'])
  const parts = documented.filter((each) => each.introspection ?? each.token_exchange)
  expect(parts).toHaveLength(2)
  for (const each of [...files, ...parts.map((part) => ({ ...files[0], ...part }))]) {
    const path = file('documented.json', JSON.stringify(each))
    const added = await run(['issuer', 'add', path, '--tenant', 'acme', '--json'])
    expect([added.exit, added.stderr]).toEqual([0, ''])
    expect(JSON.parse(added.stdout)).toMatchObject({ issuer: each.issuer, tenant: 'acme' })
    const listed = await run(['issuer', 'list', '--tenant', 'acme', '--json'])
    expect(listed.stdout).toContain(each.issuer)
    expect(listed.stdout).not.toContain('"d"')
  }
  for (const { issuer = '' } of files) await run(['issuer', 'remove', issuer, '--tenant', 'acme'])
})
