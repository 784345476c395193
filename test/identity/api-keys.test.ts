import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { newApiKey } from '#admin/keys.ts'
import { parseIssuer } from '#identity/issuer.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { type EpochSeconds, systemClock } from '#lib/clock.ts'
import { API_KEY_ISSUER, type ApiKey } from '#model/api-key.ts'
import type { Gateway, GatewaySettings } from '#model/gateway.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import {
  CALL,
  dpopProof,
  type ProofKey,
  proofKey,
  proofsWith,
  SETTINGS,
  verifier,
} from '../support/proofs.ts'
import {
  bearer,
  gateway,
  issuer,
  makeKey,
  NOW_SECONDS,
  named,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

const { key, hash } = newApiKey()
const registered: ApiKey = {
  id: '0199d000-0000-7000-8000-00000000000a',
  agent: 'bot',
  createdAt: (NOW_SECONDS - 60) as EpochSeconds,
  expiresAt: (NOW_SECONDS + 60) as EpochSeconds,
}
const ACCEPTS: GatewaySettings = { ...SETTINGS, apiKeys: 'accept' }
const keyed = (value: string) => ({ credentials: [{ scheme: 'api-key', value }] })

let signing: SigningKey
let proof: ProofKey
beforeAll(async () => {
  ;[signing, proof] = await Promise.all([makeKey('ES256', 'k1'), proofKey()])
})

function ask(
  more: Partial<AuthorizationRequest>,
  options: { settings?: GatewaySettings; key?: Partial<ApiKey>; gateway?: Partial<Gateway> } = {},
) {
  const { settings = ACCEPTS } = options
  const tenant = tenantWith([issuer([signing])], {
    apiKeys: new Map([[hash, { ...registered, ...options.key }]]),
  })
  return verifier()(request(more), gateway({ settings, ...options.gateway }), tenant)
}

const stopped = (code: string) => ({ ok: false, failure: { code } })

test('an API key stands for its agent alone, by the word of the registry', async () => {
  expect(await ask(keyed(key))).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'bot', provenance: 'registry' },
      user: undefined,
      delegation: { source: 'none', chain: [] },
      token: {
        issuer: API_KEY_ISSUER,
        kind: 'api-key',
        subject: 'bot',
        id: registered.id,
        scopes: [],
        expiresAt: registered.expiresAt,
      },
    },
  })
})

test.each<[string, Parameters<typeof ask>[0], NonNullable<Parameters<typeof ask>[1]>, string]>([
  [
    'at a gateway that is not registered for them',
    keyed(key),
    { settings: SETTINGS },
    'credentials.unsupported',
  ],
  ['that is not registered', keyed(newApiKey().key), {}, 'credentials.key_unknown'],
  ['with a changed letter', keyed(`${key.slice(0, -1)}.`), {}, 'credentials.key_unknown'],
  ['in upper case', keyed(`wak_${key.slice(4).toUpperCase()}`), {}, 'credentials.key_unknown'],
  ['that is its own hash', keyed(`wak_${hash}`), {}, 'credentials.key_unknown'],
  [
    'in the second in which it ends',
    keyed(key),
    { key: { expiresAt: NOW_SECONDS as EpochSeconds } },
    'credentials.key_unknown',
  ],
  ['that is for other gateways', keyed(key), { key: { gateways: ['elsewhere'] } }, 'credentials.key_unknown'],
  ['that is for no gateway', keyed(key), { key: { gateways: [] } }, 'credentials.key_unknown'],
  ['for a user whom the gateway names', { ...keyed(key), user: named('alice') }, {}, 'identity.mismatch'],
  ['for another agent', { ...keyed(key), agent: named('other') }, {}, 'identity.mismatch'],
  ['in another tenant', { ...keyed(key), tenant: 'globex' }, {}, 'tenant.unknown'],
  [
    'beside another',
    { credentials: [...keyed(key).credentials, ...keyed(key).credentials] },
    {},
    'credentials.multiple',
  ],
])('an API key %s denies', async (_, asked, options, code) => {
  expect(await ask(asked, options)).toMatchObject(stopped(code))
})

test('an API key that is for this gateway, by its name, has the scopes that it was made with and no more', async () => {
  const limits = { gateways: ['elsewhere', gateway().name], scopes: ['crm.read', 'crm.list'] }
  expect(await ask(keyed(key), { key: limits })).toMatchObject({
    ok: true,
    value: { token: { scopes: ['crm.read', 'crm.list'] } },
  })
})

test('an API key beside a token denies', async () => {
  const both = [...bearer(await sign(signing)).credentials, ...keyed(key).credentials]
  expect(await ask({ credentials: both })).toMatchObject(stopped('credentials.multiple'))
})

test('no issuer is asked about an API key, whatever scheme it comes under', async () => {
  const asked: string[] = []
  const keys = createKeySets({
    fetch: () => Promise.reject(new Error('no keys are fetched here')),
    clock: systemClock,
    onFault: () => undefined,
  })
  const verify = createVerify({
    keys,
    introspect: async (token) => {
      asked.push(token)
      return { ok: false, failure: { code: 'token.inactive', message: '' } }
    },
  })
  const url = 'https://idp.example/introspect'
  const introspection = {
    url,
    clientId: 'w',
    authentication: 'client_secret_basic',
    secret: 's',
    cacheSecondsMax: 0,
    signed: false,
  } as const
  const tenant = tenantWith([issuer([signing], { introspection })])
  for (const scheme of ['api-key', 'bearer', 'dpop'])
    for (const settings of [ACCEPTS, SETTINGS])
      await verify(request({ credentials: [{ scheme, value: key }] }), gateway({ settings }), tenant)
  expect(asked).toEqual([])
  await verify(request(bearer('opaque')), gateway(), tenant)
  expect(asked).toEqual(['opaque'])
})

describe('an API key that is bound', () => {
  const call = { dialect: 'envoy-http', route: CALL } as const
  const bound = () => ({ key: { boundTo: { jkt: proof.jkt } } })

  test('to a key is good with a proof for this very key, once', async () => {
    const dpop = [await dpopProof(proof, key)]
    const asked = { ...call, credentials: [{ scheme: 'dpop', value: key }], proofs: proofsWith({ dpop }) }
    expect(await ask(asked, bound())).toMatchObject({
      ok: true,
      value: { agent: { id: 'bot' }, presenter: { proof: 'dpop' }, token: { kind: 'api-key' } },
    })
    const ath = createHash('sha256').update('wak_other').digest('base64url')
    const other = proofsWith({ dpop: [await dpopProof(proof, key, { ath })] })
    expect(await ask({ ...asked, proofs: other }, bound())).toMatchObject(stopped('pop.token'))
  })

  test('denies without the proof, with that of somebody else, and where it came as a plain key', async () => {
    expect(await ask({ ...call, ...keyed(key) }, bound())).toMatchObject(stopped('pop.scheme'))
    const mine = await dpopProof(await proofKey(), key)
    const asked = { ...call, credentials: [{ scheme: 'dpop', value: key }] }
    expect(await ask({ ...asked, proofs: proofsWith({ dpop: [mine] }) }, bound())).toMatchObject(
      stopped('pop.key'),
    )
    expect(await ask({ ...asked, proofs: proofsWith() }, bound())).toMatchObject(stopped('pop.missing'))
    const certificate = { key: { boundTo: { x5t: 'x'.repeat(43) } } }
    expect(await ask({ ...call, ...keyed(key) }, certificate)).toMatchObject(stopped('pop.missing'))
  })
})

test('no issuer of tokens can be registered under a name that Warder gives', () => {
  const file = { issuer: API_KEY_ISSUER, audience: 'a', jwks: { keys: [signing.jwk] } }
  expect(parseIssuer(file)).toMatchObject({ ok: false, failure: [{ path: 'issuer' }] })
  expect(parseIssuer({ ...file, issuer: 'urn:example:idp' })).toMatchObject({ ok: true })
})
