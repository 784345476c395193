import { createHash, randomUUID, webcrypto } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { parseIssuer } from '#identity/issuer.ts'
import type { Issuer } from '#model/issuer.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import {
  dpopProof,
  gatewayWith,
  type ProofKey,
  proofKey,
  proofsWith,
  verifier,
} from '../../support/proofs.ts'
import {
  claims,
  issuer,
  makeKey,
  NOW_SECONDS,
  named,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../../support/tokens.ts'

const TAG = 'agents.acme.example'
const BODY = new TextEncoder().encode('{"amount":5}')
const CALL = { method: 'POST', path: '/pay', host: 'api.example.com', query: '?a=1' } as const
const ECDSA = { name: 'ECDSA', hash: 'SHA-256' }

let access: SigningKey
let key: ProofKey
let issuers: readonly Issuer[]
let bound: string
beforeAll(async () => {
  access = await makeKey('ES256', 'k1')
  key = await proofKey()
  issuers = [issuer([access]), directory([key])]
  bound = await sign(access, claims({ cnf: { jkt: key.jkt } }))
})

function directory(keys: readonly ProofKey[], kid = keys[0]?.jkt): Issuer {
  return issuer([], {
    issuer: 'https://agents.acme.example',
    profile: 'http-signature',
    audience: [TAG],
    types: [],
    keys: { kind: 'static', keys: keys.map(({ jwk }) => ({ ...jwk, kid })) },
  })
}

interface Signed {
  readonly components?: readonly string[]
  readonly parameters?: { readonly [name: string]: number | string | undefined }
  readonly token?: string
  readonly by?: ProofKey
  /** What the client signs for a component instead of what is there. */
  readonly as?: { readonly [component: string]: string }
  readonly digest?: string
  readonly alter?: (headers: (readonly [string, string])[]) => (readonly [string, string])[]
}

const ALL = ['@method', '@target-uri', 'authorization', 'content-digest']
const digestOf = (body: Uint8Array) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`

/** The headers of a call, signed as an agent does it. */
async function signed(options: Signed = {}): Promise<readonly (readonly [string, string])[]> {
  const { components = ALL, token = bound, by = key, as = {}, digest = digestOf(BODY), alter } = options
  const headers: [string, string][] = [
    ['host', 'api.example.com'],
    ['authorization', `Bearer ${token}`],
    ['content-digest', digest],
    ['x-two', 'a'],
    ['x-two', ' b '],
  ]
  const values: { readonly [component: string]: string } = {
    '@method': 'POST',
    '@target-uri': 'https://api.example.com/pay?a=1',
    '@authority': 'api.example.com',
    '@path': '/pay',
    '@query': '?a=1',
    '@request-target': '/pay?a=1',
    '@scheme': 'https',
    authorization: `Bearer ${token}`,
    'content-digest': digest,
    'x-two': 'a, b',
    ...as,
  }
  const times = { created: NOW_SECONDS, expires: NOW_SECONDS + 60 }
  const all = { ...times, nonce: randomUUID(), keyid: by.jkt, tag: TAG, ...options.parameters }
  const list = components.map((name) => `"${name}"`).join(' ')
  const tail = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `;${name}=${typeof value === 'number' ? value : `"${value}"`}`)
  const parameters = `(${list})${tail.join('')}`
  const lines = components.map((name) => `"${name}": ${values[name]}`)
  const base = [...lines, `"@signature-params": ${parameters}`].join('\n')
  const raw = await webcrypto.subtle.sign(ECDSA, by.privateKey, new TextEncoder().encode(base))
  headers.push(['signature-input', `s=${parameters}`])
  headers.push(['signature', `s=:${Buffer.from(raw).toString('base64')}:`])
  return alter === undefined ? headers : alter(headers)
}

async function ask(
  signedHeaders: readonly (readonly [string, string])[],
  {
    token = bound,
    rules,
    dpop = [],
    verify = verifier(),
    ...more
  }: Partial<AuthorizationRequest> & {
    readonly token?: string
    readonly rules?: TenantState['rules']
    readonly dpop?: readonly string[]
    readonly verify?: ReturnType<typeof verifier>
  } = {},
) {
  const asked = request({
    dialect: 'envoy-http',
    route: CALL,
    credentials: [{ scheme: 'bearer', value: token }],
    original: { body: BODY, headers: [] },
    proofs: proofsWith({ signedHeaders, dpop }),
    ...more,
  })
  return await verify(asked, gatewayWith(), tenantWith(issuers, { ...(rules !== undefined && { rules }) }))
}

const denied = (code: string) => ({ ok: false, failure: { code } })
const INVALID = denied('signature.invalid')

test('a signature proves possession of a token that is bound to its key', async () => {
  expect(await ask(await signed())).toMatchObject({
    ok: true,
    value: { agent: { id: 'agent-1' }, presenter: { proof: 'http-signature', thumbprint: key.jkt } },
  })
})

test.each<[string, readonly string[]]>([
  ['host, path and query', ['@method', '@authority', '@path', '@query', 'authorization', 'content-digest']],
  [
    'host and request target',
    ['@method', '@authority', '@request-target', 'authorization', 'content-digest'],
  ],
  ['more than it must', [...ALL, '@scheme', 'x-two']],
])('a signature may cover %s', async (_what, components) => {
  expect(await ask(await signed({ components }))).toMatchObject({ ok: true })
})

test.each(['ecdsa-p256-sha256'])('a signature may name its algorithm %s', async (alg) => {
  expect(await ask(await signed({ parameters: { alg } }))).toMatchObject({ ok: true })
})

test('a signature of a registered key proves nothing about a token that is not bound to it', async () => {
  const other = await proofKey()
  const free = await sign(access, claims())
  expect(await ask(await signed({ token: free }), { token: free })).toMatchObject({
    ok: true,
    value: { presenter: { proof: 'none', thumbprint: key.jkt } },
  })
  const foreign = await sign(access, claims({ cnf: { jkt: other.jkt } }))
  expect(await ask(await signed({ token: foreign }), { token: foreign })).toMatchObject(denied('pop.scheme'))
})

test('a signature names nobody', async () => {
  const headers = (await signed({ components: ['@method', '@target-uri', 'content-digest'] })).filter(
    ([name]) => name !== 'authorization',
  )
  expect(await ask(headers, { credentials: [] })).toMatchObject(denied('credentials.missing'))
  const more = { dialect: 'native', credentials: [], agent: named('agent-1') } as const
  expect(await ask(headers, more)).toMatchObject({ ok: true, value: { presenter: { proof: 'none' } } })
})

test('a signature is used once', async () => {
  const verify = verifier()
  const headers = await signed()
  expect(await ask(headers, { verify })).toMatchObject({ ok: true })
  expect(await ask(headers, { verify })).toMatchObject(denied('pop.replayed'))
  const again = await signed({ parameters: { nonce: 'n' } })
  const later = await signed({ parameters: { nonce: 'n', created: NOW_SECONDS - 1 } })
  expect(await ask(again, { verify })).toMatchObject({ ok: true })
  expect(await ask(later, { verify })).toMatchObject(denied('pop.replayed'))
})

test('a signature takes no place of the nonce that the tenant demands, nor of the proof of a DPoP token', async () => {
  const headers = await signed()
  expect(await ask(headers, { rules: { proofNonce: true } })).toMatchObject(denied('pop.scheme'))
  const dpop = [await dpopProof(key, bound)]
  expect(await ask(headers, { dpop })).toMatchObject(denied('pop.scheme'))
  const asDpop = await signed({
    as: { authorization: `DPoP ${bound}` },
    alter: (all) => all.map(([name, value]) => [name, name === 'authorization' ? `DPoP ${bound}` : value]),
  })
  const credentials = [{ scheme: 'dpop', value: bound }]
  expect(await ask(asDpop, { credentials })).toMatchObject(denied('pop.missing'))
})

test.each(ALL)('a signature that does not cover %s denies', async (left) => {
  const components = ALL.filter((name) => name !== left)
  expect(await ask(await signed({ components }))).toMatchObject(INVALID)
})

test.each<[string, readonly string[]]>([
  ['the host alone', ['@authority']],
  ['host and path, but not the query', ['@authority', '@path']],
  ['the path alone', ['@path', '@query']],
])('a signature over %s denies', async (_what, names) => {
  const components = ['@method', ...names, 'authorization', 'content-digest']
  expect(await ask(await signed({ components }))).toMatchObject(INVALID)
})

test.each<[string, Signed['parameters'] & {}]>([
  ['without `created`', { created: undefined }],
  ['without `expires`', { expires: undefined }],
  ['without a nonce', { nonce: undefined }],
  ['with an empty nonce', { nonce: '' }],
  ['without a key', { keyid: undefined }],
  ['without a tag', { tag: undefined }],
  ['for another use', { tag: 'web-bot-auth' }],
  ['of an unknown key', { keyid: 'x'.repeat(43) }],
  ['that is too old', { created: NOW_SECONDS - 61 }],
  ['from the future', { created: NOW_SECONDS + 6 }],
  ['that has expired', { expires: NOW_SECONDS }],
  ['that lives too long', { expires: NOW_SECONDS + 301 }],
  ['whose time is a text', { created: String(NOW_SECONDS) }],
  ['with another algorithm', { alg: 'ed25519' }],
  ['with a shared secret', { alg: 'hmac-sha256' }],
  ['with an unknown parameter', { extra: 'x' }],
])('a signature %s denies', async (_what, parameters) => {
  expect(await ask(await signed({ parameters }))).toMatchObject(INVALID)
})

test.each<[string, Signed['as'] & {}]>([
  ['method', { '@method': 'GET' }],
  ['URI', { '@target-uri': 'https://api.example.com/other?a=1' }],
  ['query', { '@target-uri': 'https://api.example.com/pay?a=2' }],
  ['host', { '@target-uri': 'https://evil.example/pay?a=1' }],
  ['token', { authorization: 'Bearer x' }],
])('a signature for another %s denies', async (_what, as) => {
  expect(await ask(await signed({ as }))).toMatchObject(INVALID)
})

test('a signature over another body, or with a digest that nobody knows, denies', async () => {
  for (const digest of [digestOf(new Uint8Array(1)), 'md5=:AAAA:', `${digestOf(BODY)}, sha-512=:AAAA:`, ''])
    expect(await ask(await signed({ digest }))).toMatchObject(INVALID)
})

test('a body that the gateway does not pass on needs no digest', async () => {
  const components = ['@method', '@target-uri', 'authorization']
  const original = { body: undefined, headers: [] }
  expect(await ask(await signed({ components }), { original })).toMatchObject({ ok: true })
})

test('the credential that is used must be the one that was signed', async () => {
  const free = await sign(access, claims())
  const more = { dialect: 'native', token: free, agent: named('agent-1') } as const
  expect(await ask(await signed(), more)).toMatchObject(INVALID)
})

test('a transaction token that is not signed along denies', async () => {
  const proofs = proofsWith({ signedHeaders: await signed(), transactionToken: ['x'] })
  expect(await ask([], { proofs })).toMatchObject(INVALID)
})

test('a signature of another key, or of one that goes by the id of another, denies', async () => {
  const other = await proofKey()
  expect(await ask(await signed({ by: { ...other, jkt: key.jkt } }))).toMatchObject(INVALID)
  const proofs = proofsWith({ signedHeaders: await signed({ by: { ...other, jkt: key.jkt } }) })
  const asked = request({
    route: CALL,
    dialect: 'envoy-http',
    credentials: [{ scheme: 'bearer', value: bound }],
    proofs,
  })
  const lying = tenantWith([issuer([access]), directory([other], key.jkt)])
  expect(await verifier()(asked, gatewayWith(), lying)).toMatchObject(INVALID)
})

const replace = (name: string, change: (value: string) => string) => (all: (readonly [string, string])[]) =>
  all.map(([each, value]): readonly [string, string] => [each, each === name ? change(value) : value])

test.each<[string, Signed['alter'] & {}]>([
  ['without its input', (all) => all.filter(([name]) => name !== 'signature-input')],
  ['that is only announced', (all) => all.filter(([name]) => name !== 'signature')],
  ['that is there twice', (all) => [...all, ...all.filter(([name]) => name === 'signature')]],
  ['with two inputs', (all) => [...all, ...all.filter(([name]) => name === 'signature-input')]],
  ['with a second label', replace('signature-input', (value) => `${value}, t=()`)],
  ['with another label', replace('signature', (value) => value.replace('s=', 't='))],
  ['in another spelling', replace('signature-input', (value) => value.replace(';created', '; created'))],
  ['with a component twice', replace('signature-input', (value) => value.replace('(', '("@method" '))],
  [
    'with a component that has parameters',
    replace('signature-input', (value) => value.replace('"@method"', '"@method";req')),
  ],
  [
    'over a header that is not there',
    replace('signature-input', (value) => value.replace('(', '("x-none" ')),
  ],
  ['over an unknown component', replace('signature-input', (value) => value.replace('(', '("@status" '))],
  ['over a header with a line of its own', (all) => [...all, ['authorization', 'x\n"@method": GET']]],
])('a signature %s denies', async (_what, alter) => {
  expect(await ask(await signed({ alter }))).toMatchObject(INVALID)
})

test('keys of agents are registered with their tags, and make no access tokens', async () => {
  const file = {
    issuer: 'https://idp.example',
    profile: 'http-signature',
    audience: TAG,
    jwks: { keys: [access.jwk] },
  }
  const parsed = parseIssuer(file)
  expect(parsed).toMatchObject({ ok: true, value: { types: [] } })
  if (!parsed.ok) return
  const asked = request({
    credentials: [{ scheme: 'bearer', value: await sign(access, claims({ aud: TAG })) }],
  })
  expect(await verifier()(asked, gatewayWith(), tenantWith([parsed.value]))).toMatchObject(
    denied('token.type'),
  )
})
