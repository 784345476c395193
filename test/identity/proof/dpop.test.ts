import { beforeAll, describe, expect, test } from 'vitest'
import { createNonces } from '#identity/proof/nonces.ts'
import { createMemoryReplayStore, type Reserved } from '#identity/proof/replay.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { AuthorizationRequest, HttpCall, Proofs } from '#model/request.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import {
  CALL,
  callWith,
  dpopProof,
  gatewayWith,
  type ProofKey,
  proofKey,
  SETTINGS,
  verifier,
} from '../../support/proofs.ts'
import {
  claims,
  issuer,
  makeKey,
  NOW_SECONDS,
  type SigningKey,
  sign,
  TENANT,
  tenantWith,
} from '../../support/tokens.ts'

let signer: SigningKey
let key: ProofKey
let other: ProofKey
let token: string
let plain: string
beforeAll(async () => {
  signer = await makeKey('ES256', 'k1')
  key = await proofKey()
  other = await proofKey()
  token = await sign(signer, claims({ cnf: { jkt: key.jkt } }))
  plain = await sign(signer)
})

interface Asked {
  readonly proofs?: Partial<Proofs>
  readonly scheme?: 'bearer' | 'dpop'
  readonly token?: string
  readonly more?: Partial<AuthorizationRequest>
  readonly settings?: GatewaySettings
  readonly rules?: TenantRules
  readonly verify?: ReturnType<typeof verifier>
}

async function ask({
  proofs,
  scheme = 'dpop',
  more,
  settings,
  rules = {},
  verify = verifier(),
  ...rest
}: Asked) {
  const tenant = tenantWith([issuer([signer])], { rules })
  return await verify(callWith(rest.token ?? token, scheme, proofs, more), gatewayWith(settings), tenant)
}

const good = async (claims: object = {}, header: object = {}) => ({
  proofs: { dpop: [await dpopProof(key, token, claims, header)] },
})

function denial(code: ReasonCode, error?: string) {
  const challenge = error === undefined ? {} : { challenge: { scheme: 'DPoP', error } }
  return { ok: false, failure: { code, ...challenge } }
}

test('a token with a proof of its key is verified, and says who presents it', async () => {
  expect(await ask(await good())).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'agent-1', provenance: 'verified' },
      token: { boundTo: { jkt: key.jkt } },
      presenter: { proof: 'dpop', thumbprint: key.jkt },
    },
  })
})

test.each(['ES256', 'ES384', 'ES512', 'PS256', 'RS256', 'EdDSA'])(
  'a proof made with %s is accepted',
  async (alg) => {
    const client = await proofKey(alg)
    const bound = await sign(signer, claims({ cnf: { jkt: client.jkt } }))
    const dpop = [await dpopProof(client, bound)]
    expect(await ask({ token: bound, proofs: { dpop } })).toMatchObject({ ok: true })
  },
)

test('section 4.3, 1: no proof, two proofs, and two in one header deny', async () => {
  const [one, two] = [await dpopProof(key, token), await dpopProof(key, token)]
  expect(await ask({})).toMatchObject(denial('pop.missing', 'invalid_dpop_proof'))
  expect(await ask({ proofs: { dpop: [one, two] } })).toMatchObject(denial('pop.proof', 'invalid_dpop_proof'))
  expect(await ask({ proofs: { dpop: [one, one] } })).toMatchObject(denial('pop.proof'))
  for (const joint of [',', ', ', ' , ']) {
    expect(await ask({ proofs: { dpop: [`${one}${joint}${two}`] } })).toMatchObject(denial('pop.proof'))
  }
})

test('section 4.3, 2: what is not one well-formed JWT denies', async () => {
  const proof = await dpopProof(key, token)
  const [head, payload, signature] = proof.split('.')
  const doubled = Buffer.from(
    `{"jti":"a",${Buffer.from(payload ?? '', 'base64url')
      .toString()
      .slice(1)}`,
  )
  for (const text of [
    '',
    'x',
    `${proof}.`,
    ` ${proof}`,
    `${proof}\n`,
    `${proof}=`,
    `${head}.${payload}`,
    `${head}.${payload}.`,
    `${head}.${doubled.toString('base64url')}.${signature}`,
    `${head}.${Buffer.from('[]').toString('base64url')}.${signature}`,
    `${proof}${'A'.repeat(9_000)}`,
  ])
    expect(await ask({ proofs: { dpop: [text] } }), text).toMatchObject(denial('pop.proof'))
})

test.each(['jti', 'htm', 'htu', 'iat', 'ath'])(
  'section 4.3, 3: a proof without `%s` denies',
  async (claim) => {
    expect(await ask(await good({ [claim]: undefined }))).toMatchObject(
      denial('pop.proof', 'invalid_dpop_proof'),
    )
    expect(await ask(await good({ [claim]: {} }))).toMatchObject(denial('pop.proof'))
  },
)

test.each(['JWT', 'at+jwt', 'dpop', '', undefined])('section 4.3, 4: type %s denies', async (typ) => {
  expect(await ask(await good({}, { typ }))).toMatchObject(denial('pop.proof'))
})

test.each(['DPoP+JWT', 'application/dpop+jwt'])('section 4.3, 4: type %s is the same type', async (typ) => {
  expect(await ask(await good({}, { typ }))).toMatchObject({ ok: true })
})

test.each(['none', 'HS256', 'ES384', 'RS256', 'es256'])(
  '5: algorithm %s for an ES256 key denies',
  async (alg) => {
    const [, payload, signature] = (await dpopProof(key, token)).split('.')
    const head = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg, jwk: key.jwk })).toString('base64url')
    expect(await ask({ proofs: { dpop: [`${head}.${payload}.${signature}`] } })).toMatchObject(
      denial('pop.signature'),
    )
  },
)

test('section 4.3, 5: symmetric, weak and unknown keys deny', async () => {
  const weak = { kty: 'RSA', e: 'AQAB', n: Buffer.alloc(128, 255).toString('base64url') }
  for (const jwk of [
    { kty: 'oct', k: 'AAAA' },
    weak,
    { ...weak, e: 'AQ', n: Buffer.alloc(256, 255).toString('base64url') },
    { kty: 'XYZ' },
    { ...key.jwk, x: key.jwk.y },
    {},
    'x',
    undefined,
  ])
    expect(await ask(await good({}, { jwk })), JSON.stringify(jwk)).toMatchObject(denial('pop.proof'))
})

test('section 4.3, 6: a proof that somebody altered denies', async () => {
  const [head, payload, signature = ''] = (await dpopProof(key, token)).split('.')
  const changed = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  expect(await ask({ proofs: { dpop: [`${head}.${payload}.${changed}`] } })).toMatchObject(
    denial('pop.signature'),
  )
  const foreign = await dpopProof({ ...key, privateKey: other.privateKey }, token)
  expect(await ask({ proofs: { dpop: [foreign] } })).toMatchObject(denial('pop.signature'))
})

test.each(['d', 'k', 'p', 'oth'])(
  'section 4.3, 7: a key with the private member `%s` denies',
  async (member) => {
    expect(await ask(await good({}, { jwk: { ...key.jwk, [member]: 'AAAA' } }))).toMatchObject(
      denial('pop.proof'),
    )
  },
)

test.each(['jku', 'x5u', 'x5c', 'crit', 'b64', 'kid'])('a header with `%s` denies', async (member) => {
  const [, payload, signature] = (await dpopProof(key, token)).split('.')
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk, [member]: 'x' }
  const head = Buffer.from(JSON.stringify(header)).toString('base64url')
  expect(await ask({ proofs: { dpop: [`${head}.${payload}.${signature}`] } })).toMatchObject(
    denial('pop.proof'),
  )
})

test.each(['GET', 'post', 'POST ', ''])('section 4.3, 8: a proof for the method %s denies', async (htm) => {
  expect(await ask(await good({ htm }))).toMatchObject(denial('pop.request', 'invalid_dpop_proof'))
})

test.each([
  'https://api.example.com/mcp',
  'HTTPS://API.example.COM/mcp',
  'https://api.example.com:443/mcp',
  'https://api.example.com/x/../mcp',
  'https://api.example.com/%6Dcp',
])('section 4.3, 9: %s is the URI of the call', async (htu) => {
  expect(await ask(await good({ htu }))).toMatchObject({ ok: true })
})

test.each([
  'https://api.example.com/mcp/',
  'https://api.example.com/MCP',
  'https://api.example.com/mcp?x=1',
  'https://api.example.com/mcp#x',
  'https://api.example.com/other',
  'https://api.example.com:8443/mcp',
  'http://api.example.com/mcp',
  'https://other.example/mcp',
  'https://api.example.com@other.example/mcp',
  'https://user@api.example.com/mcp',
  'https://api.example.com\\mcp',
  'https://api.example.com/mcp ',
  'https://api.example.com/m\tcp',
  'https:///api.example.com/mcp',
  'https:api.example.com/mcp',
  '//api.example.com/mcp',
  '/mcp',
  '',
])('section 4.3, 9: %j is not', async (htu) => {
  expect(await ask(await good({ htu }))).toMatchObject(denial('pop.request'))
})

test.each([
  [-60, true],
  [-61, false],
  [5, true],
  [6, false],
  [Number.NaN, false],
])('section 4.3, 11: a proof made %i seconds from now is accepted: %s', async (offset, isAccepted) => {
  const iat = NOW_SECONDS + offset
  const outcome = await ask(await good({ iat: Number.isNaN(iat) ? null : iat }))
  expect(outcome.ok).toBe(isAccepted)
})

test('section 4.3, 11: its own end counts too', async () => {
  expect(await ask(await good({ exp: NOW_SECONDS }))).toMatchObject(denial('pop.time'))
  expect(await ask(await good({ nbf: NOW_SECONDS + 60 }))).toMatchObject(denial('pop.time'))
  expect(await ask(await good({ exp: NOW_SECONDS + 1 }))).toMatchObject({ ok: true })
})

test('section 4.3, 12: a proof for another token denies', async () => {
  const another = await sign(signer, claims({ cnf: { jkt: key.jkt }, jti: 'token-2' }))
  const dpop = [await dpopProof(key, another)]
  expect(await ask({ proofs: { dpop } })).toMatchObject(denial('pop.token', 'invalid_dpop_proof'))
})

test('section 4.3, 12: a proof of another key denies', async () => {
  const dpop = [await dpopProof(other, token)]
  expect(await ask({ proofs: { dpop } })).toMatchObject(denial('pop.key', 'invalid_dpop_proof'))
})

test.each([1, 256])('an id of %i characters is accepted', async (length) => {
  expect(await ask(await good({ jti: 'j'.repeat(length) }))).toMatchObject({ ok: true })
})

test.each(['', 'j'.repeat(257)])('an id that is empty or too long denies', async (jti) => {
  expect(await ask(await good({ jti }))).toMatchObject(denial('pop.proof'))
})

test('a key is the same key however its numbers are spelt', async () => {
  // Unused bits of the last character; the bytes are the same.
  const { x = '' } = key.jwk
  const twin = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const spelt = `${x.slice(0, -1)}${twin[(twin.indexOf(x.at(-1) ?? '') & ~3) | 1]}`
  expect(spelt).not.toBe(x)
  expect(await ask(await good({}, { jwk: { ...key.jwk, x: spelt } }))).toMatchObject({
    ok: true,
    value: { presenter: { thumbprint: key.jkt } },
  })
})

describe('scheme and binding', () => {
  test('a bound token under Bearer denies, with a proof or without (section 7.2)', async () => {
    expect(await ask({ ...(await good()), scheme: 'bearer' })).toMatchObject(
      denial('pop.scheme', 'invalid_token'),
    )
    expect(await ask({ scheme: 'bearer' })).toMatchObject(denial('pop.scheme'))
  })

  test('a token without a key under DPoP denies: nothing is inferred from the proof', async () => {
    const dpop = [await dpopProof(key, plain)]
    expect(await ask({ token: plain, proofs: { dpop } })).toMatchObject(denial('pop.scheme', 'invalid_token'))
  })

  test('a token without a key under Bearer is a bearer token, whatever proof is beside it', async () => {
    const dpop = [await dpopProof(key, plain)]
    const outcome = await ask({ token: plain, scheme: 'bearer', proofs: { dpop } })
    expect(outcome).toMatchObject({ ok: true, value: { token: { subject: 'alice' } } })
    expect(outcome.ok && outcome.value.presenter).toBeUndefined()
  })

  test.each([{ jwk: {} }, { jku: 'https://idp.example/k' }, { kid: 'x' }, { osc: {} }, {}])(
    'a token that is bound by %j denies',
    async (cnf) => {
      const bound = await sign(signer, claims({ cnf }))
      expect(await ask({ token: bound, scheme: 'bearer' })).toMatchObject(denial('pop.method_unsupported'))
    },
  )
})

describe('the authority is the registration of the gateway', () => {
  const at = async (settings: GatewaySettings, call: HttpCall, htu: string) =>
    await ask({ ...(await good({ htu })), settings, more: { route: call } })

  test('without an external URL no proof counts', async () => {
    expect(await at({}, CALL, 'https://api.example.com/mcp')).toMatchObject(denial('pop.gateway'))
  })

  test('a host that the request names must be registered, and is then the one', async () => {
    const forged = { ...CALL, host: 'evil.example' }
    expect(await at(SETTINGS, forged, 'https://evil.example/mcp')).toMatchObject(denial('pop.gateway'))
    expect(await at(SETTINGS, forged, 'https://api.example.com/mcp')).toMatchObject(denial('pop.gateway'))
    const two = { ...SETTINGS, externalHosts: ['mcp.example.com'] }
    const second = { ...CALL, host: 'mcp.example.com:443' }
    expect(await at(two, second, 'https://mcp.example.com/mcp')).toMatchObject({ ok: true })
    expect(await at(two, second, 'https://api.example.com/mcp')).toMatchObject(denial('pop.request'))
  })

  test('a path of the external URL stands before that of the call', async () => {
    const settings = { externalUrl: 'https://api.example.com/v1/' }
    expect(await at(settings, CALL, 'https://api.example.com/v1/mcp')).toMatchObject({ ok: true })
    expect(await at(settings, CALL, 'https://api.example.com/mcp')).toMatchObject(denial('pop.request'))
  })

  test('a body that does not tell the call can prove nothing', async () => {
    const asked = { ...(await good()), more: { dialect: 'native', route: undefined } as const }
    expect(await ask(asked)).toMatchObject(denial('pop.request'))
    const { dpop } = asked.proofs
    expect(await ask({ ...asked, proofs: { dpop, call: CALL } })).toMatchObject({ ok: true })
  })
})

describe('nonces (sections 8 and 11.3)', () => {
  const rules = { proofNonce: true }
  const nonces = createNonces(() => new Uint8Array(32))
  const at = (seconds: number) => ((NOW_SECONDS + seconds) * 1000) as EpochMilliseconds

  test('a proof without one is answered with one', async () => {
    const outcome = await ask({ ...(await good()), rules })
    expect(outcome).toMatchObject(denial('pop.nonce', 'use_dpop_nonce'))
    const nonce = outcome.ok ? '' : (outcome.failure.challenge?.nonce ?? '')
    expect(await ask({ ...(await good({ nonce })), rules })).toMatchObject({ ok: true, value: { nonce } })
  })

  test('no other denial of a proof leaves the client without one', async () => {
    const outcome = await ask({ ...(await good({ htm: 'GET' })), rules })
    expect(outcome).toMatchObject({
      ok: false,
      failure: { challenge: { nonce: nonces.issue(TENANT, at(0)) } },
    })
  })

  test.each([
    [0, true],
    [-150, true],
    [-301, false],
    [150, false],
  ])('one that was issued %i seconds from now is accepted: %s', async (seconds, isAccepted) => {
    const nonce = nonces.issue(TENANT, at(seconds))
    expect((await ask({ ...(await good({ nonce })), rules })).ok).toBe(isAccepted)
  })

  test.each([
    ['of another tenant', nonces.issue('other' as typeof TENANT, at(0))],
    ['of another installation', createNonces(() => new Uint8Array(32).fill(1)).issue(TENANT, at(0))],
    ['that is no nonce', 'x'],
    ['that is empty', ''],
    ['that is spelt otherwise', `${nonces.issue(TENANT, at(0))}=`],
  ])('one %s denies, also where none is demanded', async (_what, nonce) => {
    expect(await ask({ ...(await good({ nonce })), rules })).toMatchObject(
      denial('pop.nonce', 'use_dpop_nonce'),
    )
    expect(await ask(await good({ nonce }))).toMatchObject(denial('pop.nonce', 'use_dpop_nonce'))
  })

  test('an unbound token gets none', async () => {
    const outcome = await ask({ token: plain, scheme: 'bearer', rules })
    expect(outcome.ok && outcome.value.nonce).toBeUndefined()
  })
})

test('used twice it denies, under another spelling of URI and key too', async () => {
  const verify = verifier()
  const jti = 'once'
  expect(await ask({ ...(await good({ jti })), verify })).toMatchObject({ ok: true })
  const htu = 'https://API.example.com:443/mcp'
  expect(await ask({ ...(await good({ jti, htu })), verify })).toMatchObject(
    denial('pop.replayed', 'invalid_dpop_proof'),
  )
})

test('the same id for another URI is another proof', async () => {
  const verify = verifier()
  const jti = 'once'
  await ask({ ...(await good({ jti })), verify })
  const there = { more: { route: { ...CALL, path: '/other' } }, verify }
  const asked = { ...(await good({ jti, htu: 'https://api.example.com/other' })), ...there }
  expect(await ask(asked)).toMatchObject({ ok: true })
})

test('a proof of a call that is denied otherwise is not used up', async () => {
  const verify = verifier()
  const asked = { ...(await good()), verify }
  const wrong = { user: { id: 'mallory', properties: {} } }
  expect(await ask({ ...asked, more: wrong })).toMatchObject({ failure: { code: 'identity.mismatch' } })
  expect(await ask(asked)).toMatchObject({ ok: true })
})

test('the questions of one batch share a proof, and another batch can not use it', async () => {
  const verify = verifier()
  const asked = { ...(await good()), verify }
  const batch = {}
  expect(await ask({ ...asked, more: { batch } })).toMatchObject({ ok: true })
  expect(await ask({ ...asked, more: { batch, tool: 'crm/write' } })).toMatchObject({ ok: true })
  expect(await ask({ ...asked, more: { batch: {} } })).toMatchObject(denial('pop.replayed'))
})

test('a request that is judged anew because the state changed does not replay itself', async () => {
  const verify = verifier()
  const { proofs } = await good()
  const asked = callWith(token, 'dpop', proofs)
  const tenant = tenantWith([issuer([signer])])
  expect(await verify(asked, gatewayWith(), tenant)).toMatchObject({ ok: true })
  expect(await verify(asked, gatewayWith(), { ...tenant })).toMatchObject({ ok: true })
})

test('a gateway that asks again with its own id of the request gets the same answer, but only for the same question', async () => {
  const verify = verifier()
  const { proofs } = await good()
  const more = { dialect: 'native', requestId: 'r1' } as const
  const asked = { proofs, verify, more }
  expect(await ask(asked)).toMatchObject({ ok: true })
  expect(await ask(asked)).toMatchObject({ ok: true })
  expect(await ask({ ...asked, more: { ...more, requestId: 'r2' } })).toMatchObject(denial('pop.replayed'))
  expect(await ask({ ...asked, more: { ...more, arguments: { a: 1 } } })).toMatchObject(
    denial('pop.replayed'),
  )
  expect(await ask({ ...asked, more: { ...more, tool: 'crm/write' } })).toMatchObject(denial('pop.replayed'))
  const later = (NOW_SECONDS * 1000 + 5_001) as EpochMilliseconds
  expect(await ask({ ...asked, more: { ...more, now: later } })).toMatchObject(denial('pop.replayed'))
})

test('in a header dialect a request id excuses nothing: the client could repeat it', async () => {
  const verify = verifier()
  const asked = { ...(await good()), verify, more: { requestId: 'r1' } }
  expect(await ask(asked)).toMatchObject({ ok: true })
  expect(await ask(asked)).toMatchObject(denial('pop.replayed'))
})

test('a store that can not be asked denies and says when to come again', async () => {
  const verify = verifier({ reserve: () => Promise.reject(new Error('down')) })
  expect(await ask({ ...(await good()), verify })).toMatchObject({
    ok: false,
    failure: { code: 'pop.unavailable', retryAfterSeconds: 1 },
  })
})

test('a store that can be asked again takes the proof of the same call', async () => {
  const answers: (() => Promise<Reserved>)[] = [() => Promise.reject(new Error('down')), async () => 'first']
  const verify = verifier({ reserve: () => answers.shift()?.() ?? expect.unreachable() })
  const asked = { ...(await good()), verify, more: { batch: {} } }
  expect(await ask(asked)).toMatchObject(denial('pop.unavailable'))
  expect(await ask(asked)).toMatchObject({ ok: true })
  expect(await ask(asked)).toMatchObject({ ok: true })
})

test('a store that has forgotten denies', async () => {
  const verify = verifier({ reserve: async () => 'stale' })
  expect(await ask({ ...(await good()), verify })).toMatchObject(denial('pop.time', 'invalid_dpop_proof'))
})

test('a proof that does not hold is not even looked up', async () => {
  const store = createMemoryReplayStore()
  const asked: string[] = []
  const verify = verifier({
    reserve(each) {
      asked.push(each.key)
      return store.reserve(each)
    },
  })
  await ask({ ...(await good({ htm: 'GET' })), verify })
  expect(asked).toEqual([])
})
