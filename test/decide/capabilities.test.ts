import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CryptoKey, decodeProtectedHeader, exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { envoyGrpc } from '#gateways/envoy-grpc/envoy-grpc.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { createCapabilitiesSigner } from '#identity/capabilities-signer.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { Decision } from '#model/decision.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { wireCapabilities } from '#wire/capabilities.ts'
import { claims, issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, type World } from '../support/world.ts'

const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const entity = (type: string, id: string, attrs: JsonObject = {}, group?: string): StoredEntity => ({
  uid: { type: `Warder::${type}`, id },
  attrs,
  tags: {},
  parents: group === undefined ? [] : [{ type: 'Warder::Action', id: group }],
})
const tool = (id: string, group: string): readonly StoredEntity[] => [
  entity('Tool', id, {
    tenant,
    riskTier: 'low',
    sideEffect: group === 'readTools' ? 'read' : 'destructive',
    touches: [],
    environment: 'any',
  }),
  entity('Action', id, {}, group),
]
const ENTITIES = [
  entity('Agent', 'agent-1', { tenant, status: 'active', environment: 'any' }),
  entity('Agent', 'off', { tenant, status: 'suspended', environment: 'any' }),
  entity('Server', 'gateway', { protocol: 'mcp', endpoint: '/mcp' }),
  entity('Server', 'github', { authorizedAs: 'mcp-test/github-route' }),
  entity('Server', 'mail', { authorizedAs: 'mcp-test/mail-route' }),
  entity('Server', 'hidden'),
  ...tool('github/read', 'readTools'),
  ...tool('github/erase', 'destructiveTools'),
  ...tool('mail/erase', 'destructiveTools'),
  ...tool('hidden/read', 'readTools'),
]
const POLICIES = '@id("read") permit (principal, action in Warder::Action::"readTools", resource);'

let issuerKey: SigningKey
let publicKey: CryptoKey
let pem: string
let world: World
let plain: World
beforeAll(async () => {
  issuerKey = await makeKey('ES256', 'k1')
  const pair = await generateKeyPair('ES256', { extractable: true })
  publicKey = pair.publicKey
  pem = await exportPKCS8(pair.privateKey)
  const parts = { policies: [policyFile(POLICIES)], entities: ENTITIES, issuers: [issuer([issuerKey])] }
  world = await createWorld('acme', { ...parts, signCapabilities: await createCapabilitiesSigner(pem) })
  plain = await createWorld('acme', parts)
})

async function decide(asked: World, method: string, params: object, more: object = {}): Promise<Decision> {
  const token = await sign(issuerKey, claims({ iat: NOON / 1000 - 60, exp: NOON / 1000 + 600, ...more }))
  const wire = {
    method: 'POST',
    rawUrl: '/mcp',
    rawHeaders: ['authorization', `Bearer ${token}`],
    body: new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })),
    peer: '127.0.0.1',
  }
  const read = envoyHttp.read(wire, asked.gateway, NOON)
  const [request] = read.ok ? read.value.requests : []
  if (request === undefined) throw new Error('nothing was read')
  return await asked.decider.decide(request, asked.gateway)
}

/** Headers of the answer over HTTP, and whether the bytes over gRPC hold the same list. */
function written(decision: Decision) {
  const read = { requests: [], semantic: 'single', itemErrors: new Map() } as const
  const wire = { method: 'POST', rawUrl: '/mcp', rawHeaders: [], body: new Uint8Array(), peer: '' }
  const { status, headers } = envoyHttp.write([{ decision }], read, wire)
  const header = headers.find(([name]) => name === 'x-mcp-authorized')?.[1]
  const grpc = Buffer.from(envoyGrpc.write([{ decision }], [decision], new Uint8Array())).toString('latin1')
  return { status, header, inGrpc: header !== undefined && grpc.includes(header) }
}

async function verified(header: string | undefined) {
  const { payload } = await jwtVerify(header ?? '', publicKey, {
    algorithms: ['ES256'],
    currentDate: new Date(NOON),
  })
  return payload
}

describe('an allowed tools/list', () => {
  test('carries the tools that its caller could call, by the gateway’s names, signed with ES256 for a minute', async () => {
    const { status, header, inGrpc } = written(await decide(world, 'tools/list', {}))
    expect([status, inGrpc]).toEqual([200, true])
    expect(decodeProtectedHeader(header ?? '')).toEqual({ alg: 'ES256', typ: 'JWT' })
    const payload = await verified(header)
    expect(payload).toEqual({
      'allowed-capabilities': JSON.stringify({
        tools: { 'mcp-test/github-route': ['read'], 'mcp-test/mail-route': [] },
      }),
      iat: NOON / 1000,
      exp: NOON / 1000 + 60,
    })
  })

  test('is one row, which says how many tools stay and holds no signature', async () => {
    const before = world.rows.length
    const { header } = written(await decide(world, 'tools/list', {}))
    expect(world.rows.slice(before)).toMatchObject([
      { tool: 'gateway/mcp:tools/list', trace: { detail: '1 of 3 tools are permitted' } },
    ])
    expect(JSON.stringify(world.rows)).not.toContain(header?.split('.')[2])
  })

  test('a list that another key signed does not verify', async () => {
    const other = await generateKeyPair('ES256', { extractable: true })
    const forge = await createCapabilitiesSigner(await exportPKCS8(other.privateKey))
    const forged = await forge({ 'mcp-test/github-route': ['erase'] }, (NOON / 1000) as EpochSeconds)
    await expect(verified(forged.reveal())).rejects.toThrow('signature verification failed')
  })
})

describe('nothing else carries a list', () => {
  test.each<[string, string, object, object]>([
    ['a call of a tool', 'tools/call', { name: 'read', arguments: {} }, {}],
    ['another list', 'prompts/list', {}, {}],
    ['a deny', 'tools/list', {}, { client_id: 'off' }],
  ])('%s', async (_what, method, params, more) => {
    expect(written(await decide(world, method, params, more)).header).toBeUndefined()
  })

  test('an allow without a configured key', async () => {
    expect(written(await decide(plain, 'tools/list', {}))).toMatchObject({ status: 200, header: undefined })
  })
})

test('a list that is too long denies: without it every tool would be shown', async () => {
  const many = Array.from({ length: 1_001 }, (_, index) => tool(`github/t${index}`, 'readTools')).flat()
  const large = await createWorld('acme', {
    policies: [policyFile(POLICIES)],
    entities: [...ENTITIES.filter(({ uid }) => !uid.id.startsWith('github/')), ...many],
    issuers: [issuer([issuerKey])],
    signCapabilities: await createCapabilitiesSigner(pem),
  })
  const decision = await decide(large, 'tools/list', {})
  expect(decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'list.unsigned' }] })
  expect(written(decision)).toMatchObject({ status: 403, header: undefined })
})

describe('a list that a gateway of another tenant could read as its own is never signed', () => {
  test.each<[string, string, object]>([
    ['a name that both use denies', 'mcp-test/mail-route', { effect: 'deny', code: 'list.unsigned' }],
    ['names of their own do not', 'other/mail-route', { effect: 'allow', code: 'policy.permit' }],
  ])('%s', async (_what, authorizedAs, expected) => {
    const other = await createWorld('other', {
      policies: [policyFile(POLICIES)],
      entities: [entity('Server', 'post', { authorizedAs })],
    })
    const shared = await createWorld('acme', {
      policies: [policyFile(POLICIES)],
      entities: ENTITIES,
      issuers: [issuer([issuerKey])],
      signCapabilities: await createCapabilitiesSigner(pem),
      others: [other.tenant],
    })
    const decision = await decide(shared, 'tools/list', {})
    expect({ effect: decision.effect, code: decision.reasons[0]?.code }).toEqual(expected)
    expect(written(decision).header === undefined).toBe(decision.effect === 'deny')
    if (decision.effect === 'allow') return
    const detail = '`authorizedAs` is also registered by another tenant: mcp-test/mail-route'
    expect(shared.rows.at(-1)).toMatchObject({ trace: { detail } })
  })
})

describe('the key', () => {
  const folder = mkdtempSync(join(tmpdir(), 'warder-capabilities-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const fileOf = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  test('is read from its file, and without one nothing is signed', async () => {
    const { signCapabilities } = await wireCapabilities({ mcpAuthorizedKeyFile: fileOf('key.pem', pem) })
    const signed = await signCapabilities?.({}, (NOON / 1000) as EpochSeconds)
    expect(await verified(signed?.reveal())).toMatchObject({ 'allowed-capabilities': '{"tools":{}}' })
    expect(await wireCapabilities({ mcpAuthorizedKeyFile: undefined })).toEqual({})
  })

  test('of another kind, none, and a missing file stop the start, and say nothing of what they hold', async () => {
    const { privateKey } = await generateKeyPair('EdDSA', { extractable: true })
    const files = [
      fileOf('ed.pem', await exportPKCS8(privateKey)),
      fileOf('none.pem', 'c2VjcmV0'),
      join(folder, 'missing.pem'),
    ]
    for (const path of files) {
      const refused = wireCapabilities({ mcpAuthorizedKeyFile: path })
      await expect(refused).rejects.toThrow(/^WARDER_MCP_AUTHORIZED_KEY_FILE: `.*` holds no private EC key/)
      await expect(refused).rejects.not.toThrow('c2VjcmV0')
    }
  })
})
