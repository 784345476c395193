import type { JWTPayload } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { parseIssuer } from '#identity/issuer.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import type { Gateway } from '#model/gateway.ts'
import { isAutonomous } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import {
  AUDIENCE,
  bearer,
  gateway,
  makeKey,
  NOW_SECONDS,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

let rs: SigningKey
let es: SigningKey
beforeAll(async () => {
  ;[rs, es] = await Promise.all([makeKey('RS256', 'rs'), makeKey('ES256', 'es')])
})

const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })
const verify = createVerify({ keys })
const TID = '11111111-2222-3333-4444-555555555555'
const TIMES = { aud: AUDIENCE, iat: NOW_SECONDS - 60, exp: NOW_SECONDS + 600 }

const ISSUERS: { readonly [profile: string]: string } = {
  keycloak: 'https://sso.example/realms/acme',
  okta: 'https://acme.okta.com/oauth2/default',
  auth0: 'https://acme.eu.auth0.com/',
  loginradius: 'https://api.loginradius.com/acme',
  entra: `https://login.microsoftonline.com/${TID}/v2.0`,
  spiffe: 'spiffe://example.org',
  legacy: 'https://old.example',
  rfc9068: 'https://idp.example',
}

function registered(profile: string, more: object = {}): Issuer {
  const use = profile === 'spiffe' ? 'jwt-svid' : 'sig'
  const jwks = { keys: [rs, es].map(({ jwk }) => ({ ...jwk, use })) }
  const parsed = parseIssuer({ issuer: ISSUERS[profile], profile, audience: AUDIENCE, jwks, ...more })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  return parsed.value
}

/** A token as each issuer really makes it, for agent `app` and user `alice`. */
const TOKENS: {
  readonly [profile: string]: { readonly typ: string | undefined; readonly claims: JWTPayload }
} = {
  keycloak: {
    typ: 'JWT',
    claims: { sub: 'alice', azp: 'app', jti: 'j', typ: 'Bearer', sid: 's1', scope: 'tools', acr: '1' },
  },
  okta: { typ: undefined, claims: { sub: 'alice', cid: 'app', jti: 'j', uid: 'u', scp: ['tools'], ver: 1 } },
  auth0: { typ: 'JWT', claims: { sub: 'alice', azp: 'app', scope: 'tools' } },
  loginradius: { typ: 'JWT', claims: { sub: 'alice', client_id: 'app', jti: 'j', scope: 'tools' } },
  entra: {
    typ: 'JWT',
    claims: {
      sub: 'pairwise',
      oid: 'alice',
      azp: 'app',
      tid: TID,
      uti: 'j',
      scp: 'tools',
      ver: '2.0',
      xms_act_fct: '3 11',
      xms_sub_fct: '2',
      xms_par_app_azp: 'blueprint-1',
    },
  },
  legacy: { typ: undefined, claims: { sub: 'alice', azp: 'app', scope: 'tools' } },
  rfc9068: { typ: 'at+jwt', claims: { sub: 'alice', client_id: 'app', jti: 'j', scope: 'tools' } },
}

async function ask(
  profile: string,
  more: JWTPayload = {},
  options: { header?: object; issuer?: object; gateway?: Partial<Gateway>; key?: SigningKey } = {},
) {
  const { typ, claims } = TOKENS[profile] ?? { typ: 'JWT', claims: { sub: 'spiffe://example.org/app' } }
  const iss = profile === 'spiffe' ? undefined : ISSUERS[profile]
  const all = Object.entries({ iss, ...TIMES, ...claims, ...more }).filter(([, value]) => value !== undefined)
  const token = await sign(options.key ?? rs, Object.fromEntries(all), { typ, ...options.header })
  const tenant = tenantWith([registered(profile, options.issuer)])
  return await verify(request(bearer(token)), gateway(options.gateway), tenant)
}

const stopped = (code: string) => ({ ok: false, failure: { code } })

test.each(Object.keys(TOKENS))('a token as %s makes it proves agent, user and scopes', async (profile) => {
  expect(await ask(profile)).toMatchObject({
    ok: true,
    value: { agent: { id: 'app' }, user: { id: 'alice' }, token: { scopes: ['tools'] } },
  })
})

test.each<[string, string, JWTPayload]>([
  ['a service account of Keycloak', 'keycloak', { sub: 'f00', preferred_username: 'service-account-app' }],
  ['a machine of Auth0', 'auth0', { sub: 'app@clients', gty: 'client-credentials' }],
  ['a client of Okta', 'okta', { sub: 'app' }],
  ['an application of Entra', 'entra', { scp: undefined, roles: ['tools'], oid: 'service-principal' }],
  // As Microsoft's reference of Agent ID claims shows it, v1: facets in any order, `scp` empty or a slash.
  ...['', '/'].map((scp): [string, string, JWTPayload] => [
    `an autonomous agent of Entra with the scp \`${scp}\``,
    'entra',
    {
      azp: undefined,
      appid: 'app',
      idtyp: 'app',
      oid: 'agent-object',
      scp,
      roles: ['tools'],
      xms_act_fct: '3 9 11',
      xms_sub_fct: '9 3 11',
      xms_idrel: '7 10',
    },
  ]),
])('%s acts alone: nobody passes for its user', async (_, profile, more) => {
  expect(await ask(profile, more)).toMatchObject({
    ok: true,
    value: { agent: { id: 'app' }, user: undefined, token: { scopes: ['tools'] } },
  })
})

test.each<[string, string, JWTPayload, object, string]>([
  ['an ID token of Keycloak', 'keycloak', { typ: 'ID' }, {}, 'token.type'],
  ['a refresh token of Keycloak', 'keycloak', { typ: 'Refresh' }, {}, 'token.type'],
  ['a logout token of Keycloak', 'keycloak', { typ: 'Logout' }, {}, 'token.type'],
  ['a Keycloak token without its kind', 'keycloak', { typ: undefined }, {}, 'token.type'],
  ['an ID token of Okta', 'okta', { cid: AUDIENCE }, {}, 'token.type'],
  ['an Okta token without client', 'okta', { cid: undefined }, {}, 'token.claim_missing'],
  ['an ID token of Auth0', 'auth0', { azp: AUDIENCE }, {}, 'token.type'],
  ['an Auth0 token of nobody', 'auth0', { azp: undefined }, {}, 'token.claim_missing'],
  ['a LoginRadius token of nobody', 'loginradius', { client_id: undefined }, {}, 'token.claim_missing'],
  ['a generic ID token', 'legacy', { nonce: 'n' }, {}, 'token.type'],
  ['an ID token by its hash', 'loginradius', { at_hash: 'h' }, {}, 'token.type'],
  ['an Entra token of another tenant', 'entra', { tid: 'other' }, {}, 'token.tenant'],
  ['an Entra token with part of the tenant', 'entra', { tid: TID.slice(0, 8) }, {}, 'token.tenant'],
  ['an Entra token without id', 'entra', { uti: undefined }, {}, 'token.claim_missing'],
  ['an Entra actor that is no agent', 'entra', { xms_act_fct: '1 111' }, {}, 'token.claim_invalid'],
  ['a plain JWT where at+jwt is due', 'rfc9068', {}, { typ: 'JWT' }, 'token.type'],
  ['a token without client where it is due', 'rfc9068', { client_id: undefined }, {}, 'token.claim_missing'],
  ['a token whose jti is empty', 'rfc9068', { jti: '' }, {}, 'token.claim_invalid'],
  ['a proof as a token', 'legacy', {}, { typ: 'dpop+jwt' }, 'token.type'],
  ['a signed introspection as a token', 'legacy', { token_introspection: {} }, {}, 'token.type'],
  ['a token that lives a day', 'keycloak', { exp: NOW_SECONDS + 86_000 }, {}, 'token.lifetime'],
])('%s denies', async (_, profile, more, header, code) => {
  expect(await ask(profile, more, { header })).toMatchObject(stopped(code))
})

test('an Entra token is known by uti, and its blueprint is kept for denials', async () => {
  expect(await ask('entra')).toMatchObject({ value: { token: { id: 'j', blueprint: 'blueprint-1' } } })
})

test.each<[string, JWTPayload]>([
  ['an agent that is its own subject, with scopes of a user', { xms_sub_fct: '11' }],
  ['an agent and an agent’s account at once', { xms_sub_fct: '13 11', scp: '/' }],
  ['an application by its type, with scopes of a user', { idtyp: 'app' }],
  ['a user by its type, without any scope', { idtyp: 'user', scp: undefined }],
  ['a type that is none', { idtyp: 'device' }],
  ['a type that is no text', { idtyp: ['user'] }],
])('an Entra token that contradicts itself about who stands behind it denies: %s', async (_what, more) => {
  expect(await ask('entra', more)).toMatchObject(stopped('token.claim_invalid'))
})

test.each(['13', '3 13 9'])(
  'an agent’s account of Entra (%s) is a user behind whom nobody stands',
  async (facets) => {
    const found = await ask('entra', { idtyp: 'user', oid: 'account', xms_sub_fct: facets })
    expect(found).toMatchObject({
      ok: true,
      value: { agent: { id: 'app' }, user: { id: 'account', ofAgent: true }, token: { scopes: ['tools'] } },
    })
    expect(found.ok && isAutonomous(found.value)).toBe(true)
  },
)

test.each(['2', '113', '1 3', ''])('a person’s account of Entra (facets `%s`) is a user', async (facets) => {
  const found = await ask('entra', { idtyp: 'user', xms_sub_fct: facets })
  expect(found.ok && isAutonomous(found.value)).toBe(false)
})

/** What Entra v2 puts into an ID token for the application that is its audience: no client, no scopes, roles of the user. */
const ENTRA_ID_TOKEN = {
  azp: undefined,
  scp: undefined,
  xms_act_fct: undefined,
  xms_sub_fct: undefined,
  xms_par_app_azp: undefined,
  roles: ['tools'],
  preferred_username: 'alice@example.com',
} as const

test.each<[string, JWTPayload, object]>([
  ['with roles', ENTRA_ID_TOKEN, {}],
  ['that says it is of an application', { ...ENTRA_ID_TOKEN, idtyp: 'app' }, {}],
  ['with scopes of a user', { ...ENTRA_ID_TOKEN, scp: 'tools' }, {}],
  ['where the issuer file maps the agent', ENTRA_ID_TOKEN, { issuer: { claims: { agent: 'oid' } } }],
  ['at a gateway that may assert the agent', ENTRA_ID_TOKEN, { gateway: { asserts: new Set(['identity']) } }],
])('an ID token of Entra %s is no access token, though it has no nonce', async (_what, more, options) => {
  expect(await ask('entra', more, options)).toMatchObject(stopped('token.claim_missing'))
})

test('an Entra token names its actor by the facet of an agent alone, any other by `act`', async () => {
  expect(await ask('entra')).toMatchObject({ value: { token: { namesActor: true } } })
  for (const [profile, more] of [
    ['entra', { xms_act_fct: undefined }],
    ['rfc9068', {}],
    ['rfc9068', { xms_act_fct: '11' }],
    ['keycloak', {}],
  ] as const) {
    const found = await ask(profile, more)
    expect(found.ok && found.value.token).not.toHaveProperty('namesActor')
  }
  expect(await ask('rfc9068', { act: { sub: 'app' } })).toMatchObject({
    value: { token: { namesActor: true } },
  })
})

test('an Entra token that is signed with another algorithm denies', async () => {
  expect(await ask('entra', {}, { key: es })).toMatchObject(stopped('token.algorithm'))
})

test('a JWT-SVID proves a workload that acts alone; it may lack iat, iss and typ', async () => {
  const agent = { ok: true, value: { agent: { id: 'spiffe://example.org/app' }, user: undefined } }
  expect(await ask('spiffe')).toMatchObject(agent)
  expect(await ask('spiffe', { iat: undefined as never }, { header: { typ: undefined } })).toMatchObject(
    agent,
  )
  expect(await ask('spiffe', { iss: 'https://spire.example' }, { header: { typ: 'JOSE' } })).toMatchObject(
    agent,
  )
})

test.each<[string, JWTPayload, object, string]>([
  ['of another trust domain', { sub: 'spiffe://evil.example/app' }, {}, 'token.claim_missing'],
  ['with a sub that is no SPIFFE ID', { sub: 'spiffe://example.org/../app' }, {}, 'token.claim_missing'],
  ['with a header member too many', {}, { cty: 'JWT' }, 'token.malformed'],
  ['with the typ of an access token', {}, { typ: 'at+jwt' }, 'token.type'],
  ['for two audiences', { aud: [AUDIENCE, 'x'] }, {}, 'token.audience'],
  ['without aud', { aud: undefined as never }, {}, 'token.claim_missing'],
  ['without exp', { exp: undefined as never }, {}, 'token.claim_missing'],
  [
    'that lives for days, without iat',
    { iat: undefined as never, exp: NOW_SECONDS + 90_000 },
    {},
    'token.lifetime',
  ],
])('a JWT-SVID %s denies', async (_, more, header, code) => {
  expect(await ask('spiffe', more, { header })).toMatchObject(stopped(code))
})

test.each([
  ['spiffe://example.org', 'example.org'],
  ['spiffe://example.org/ns/prod/sa/bot', 'example.org'],
  ['spiffe://Example.org/a', undefined],
  ['SPIFFE://example.org/a', undefined],
  ['spiffe://example.org:8080/a', undefined],
  ['spiffe://u@example.org/a', undefined],
  ['spiffe://example.org/a?b', undefined],
  ['spiffe://example.org/a#b', undefined],
  ['spiffe://example.org/a%2fb', undefined],
  ['spiffe://example.org/', undefined],
  ['spiffe://example.org//a', undefined],
  ['spiffe://example.org/a/', undefined],
  ['spiffe://example.org/./a', undefined],
  ['spiffe://example.org/a/..', undefined],
  ['spiffe:///a', undefined],
  [`spiffe://example.org/${'a'.repeat(2_048)}`, undefined],
])('the trust domain of `%s` is %s', (id, domain) => {
  expect(spiffeDomainOf(id)).toBe(domain)
})

test('every preset can be overridden in the issuer file', async () => {
  const issuer = {
    types: ['x+jwt', ''],
    algorithms: ['ES256'],
    required_claims: { role: 'strings' },
    lifetime_seconds_max: 700,
    age_seconds_max: 100,
    claims: { agent: 'bot', user: 'mail', scope: 'permissions', id: 'tok', session: 'ses' },
  }
  const own = { bot: 'b', mail: 'm', permissions: ['p'], tok: 't', ses: 's', role: ['r'] }
  const given = { issuer, header: { typ: 'x+jwt' }, key: es }
  expect(await ask('legacy', own, given)).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'b' },
      user: { id: 'm' },
      token: { scopes: ['p'], id: 't', session: 's' },
    },
  })
  expect(await ask('legacy', { ...own, role: [] }, given)).toMatchObject(stopped('token.claim_invalid'))
  const old = { ...own, iat: NOW_SECONDS - 131, exp: NOW_SECONDS + 100 }
  expect(await ask('legacy', old, given)).toMatchObject(stopped('token.too_old'))
})

test('a token is as old as its issuer allows until the tolerance ends, from the cache too', async () => {
  const tenant = tenantWith([registered('rfc9068', { age_seconds_max: 100 })])
  const { claims } = TOKENS['rfc9068'] ?? { claims: {} }
  const token = await sign(rs, { iss: ISSUERS['rfc9068'] ?? '', ...TIMES, ...claims })
  const at = (seconds: number) =>
    verify(request({ ...bearer(token), now: ((NOW_SECONDS + seconds) * 1000) as never }), gateway(), tenant)
  expect(await at(69)).toMatchObject({ ok: true })
  expect(await at(70)).toMatchObject(stopped('token.too_old'))
})

test('a gateway narrows the audience, for a token in the cache as well, and never widens it', async () => {
  const both = { issuer: { audience: [AUDIENCE, 'https://two.example'] } }
  const narrow = (audience: string[]) => ({ ...both, gateway: { settings: { audience } } })
  expect(await ask('rfc9068', {}, both)).toMatchObject({ ok: true })
  expect(await ask('rfc9068', {}, narrow([AUDIENCE]))).toMatchObject({ ok: true })
  expect(await ask('rfc9068', {}, narrow(['https://two.example']))).toMatchObject(stopped('token.audience'))
  const foreign = { gateway: { settings: { audience: ['https://foreign.example'] } } }
  const wide = await ask('rfc9068', { aud: 'https://foreign.example' }, foreign)
  expect(wide).toMatchObject(stopped('token.audience'))
})

test.each<[string, object, string]>([
  ['an unknown profile', { profile: 'oidc' }, 'profile'],
  ['a trust domain that is a URL', { profile: 'spiffe', issuer: 'https://example.org' }, 'issuer'],
  ['a claim of an unknown type', { required_claims: { a: 'date' } }, 'required_claims.a'],
  [
    'no introspection secret',
    { introspection: { url: 'https://a.example', client_id: 'c' } },
    'introspection.secret',
  ],
  ['two sources of keys', { discovery: true }, 'jwks'],
  ['eleven audiences', { audiences_max: 11 }, 'audiences_max'],
  ['a misspelt member', { claims: { actr: 'x' } }, 'claims.actr'],
])('an issuer file with %s is refused', (_, more, path) => {
  const file = { issuer: 'https://a.example', audience: 'a', jwks: { keys: [rs.jwk] }, ...more }
  const parsed = parseIssuer(file)
  expect(parsed.ok ? [] : parsed.failure.map((problem) => problem.path)).toContain(path)
})
