import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import { createIntrospect } from '#identity/introspect.ts'
import { parseIssuer } from '#identity/issuer.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createProofStep } from '#identity/proof/proof-step.ts'
import { createMemoryReplayStore } from '#identity/proof/replay.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { CertificateSource, PassedCertificate } from '#model/request.ts'
import {
  type AuthorizationServer,
  RESOURCE,
  startAuthorizationServer,
} from '../support/authorization-server.ts'
import { type Credentials, newAuthority } from '../support/certificates.ts'
import { dpopProof, type ProofKey, passed, proofKey } from '../support/proofs.ts'
import { gateway, tenantWith } from '../support/tokens.ts'
import { jsonWire, wire } from '../support/wire.ts'

const HTU = 'https://api.example.com/mcp'
const FORMATS = ['jwt', 'opaque'] as const
const SOURCES: readonly CertificateSource[] = ['xfcc', 'nginx', 'rfc9440', 'envoy', 'tls']
const HEADER: { readonly [Source in CertificateSource]?: string } = {
  xfcc: 'x-forwarded-client-cert',
  nginx: 'x-ssl-client-cert',
  rfc9440: 'client-cert',
}

let as: AuthorizationServer
let keys: KeySets
let verify: Verify
let key: ProofKey
let other: ProofKey
let client: Credentials
let stranger: Credentials
const seconds = () => Math.floor(Date.now() / 1000)

beforeAll(async () => {
  as = await startAuthorizationServer()
  ;[key, other] = await Promise.all([proofKey(), proofKey()])
  const authority = await newAuthority('clients')
  ;[client, stranger] = await Promise.all([authority.issue('agent'), authority.issue('stranger')])
  const clock = () => Date.now() as EpochMilliseconds
  keys = createKeySets({ fetch: createFetchJwks(), clock, onFault: () => undefined })
})
afterAll(async () => {
  keys.close()
  await as.close()
})
beforeEach(() => {
  verify = createVerify({
    keys,
    introspect: createIntrospect({
      send: sendOutbound,
      openSecret: (_, issuer) => issuer.introspection?.secret,
      keys,
      onFault: () => undefined,
    }),
    proofs: createProofStep({
      replay: createMemoryReplayStore(),
      nonceSecret: () => new Uint8Array(32),
      onFault: () => undefined,
    }),
  })
})

function registered() {
  const parsed = parseIssuer({
    issuer: as.issuer,
    audience: RESOURCE,
    discovery: true,
    private_network: true,
    introspection: {
      url: `${as.issuer}/token/introspection`,
      client_id: 'resource',
      secret: as.resourceKey,
      signed: true,
    },
  })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  return parsed.value
}

/** What a gateway hands on: an `Authorization` header, and whatever proves who sends it. */
interface Sent {
  readonly scheme: 'Bearer' | 'DPoP'
  readonly token: string
  readonly dpop?: readonly string[]
  readonly certificate?: PassedCertificate
}

type Carry = (sent: Sent) => ReturnType<GatewayDialect['read']>

/** The call as bytes on the wire of a header dialect, read by it. */
const inHeaders: Carry = ({ scheme, token, dpop = [], certificate }) => {
  const headers: [string, string][] = [
    ['x-forwarded-method', 'POST'],
    ['x-forwarded-uri', '/mcp?page=1'],
    ['x-forwarded-host', 'api.example.com'],
    ['authorization', `${scheme} ${token}`],
    ...dpop.map((proof): [string, string] => ['dpop', proof]),
  ]
  if (certificate !== undefined) headers.push([HEADER[certificate.source] ?? '', certificate.value])
  if (certificate?.verified !== undefined) headers.push(['x-ssl-client-verify', certificate.verified])
  return forwardAuth.read(wire({ method: 'GET', headers }), gateway(), now())
}

/** The call as a gateway describes it in JSON. */
const inJson: Carry = ({ scheme, token, dpop, certificate }) => {
  const proofs = {
    call: { method: 'POST', path: '/mcp?page=1', host: 'api.example.com' },
    ...(dpop !== undefined && { dpop }),
    ...(certificate !== undefined && { certificate }),
  }
  const credentials = { access_token: token, token_type: scheme }
  return native.read(jsonWire('/v1/decide', { tool: 'crm/read', credentials, proofs }), gateway(), now())
}

const now = () => Date.now() as EpochMilliseconds

async function ask(carry: Carry, sent: Sent, certificateSource: CertificateSource = 'xfcc') {
  const read = carry(sent)
  const [asked] = read.ok ? read.value.requests : []
  if (asked === undefined) return { ok: false, failure: read.ok ? undefined : read.failure }
  const settings = { externalUrl: 'https://api.example.com', certificateSource }
  return await verify(asked, gateway({ settings }), tenantWith([registered()]))
}

const denied = (code: string) => ({ ok: false, failure: { code } })

/** A token that the server binds to the key of the proof in the token request (RFC 9449 section 5). */
async function boundToKey(format: 'jwt' | 'opaque'): Promise<string> {
  const claims = { htm: 'POST', htu: `${as.issuer}/token`, iat: seconds(), ath: undefined }
  return await as.token(format, { DPoP: await dpopProof(key, '', claims) })
}

const proofOf = (by: ProofKey, token: string, claims: object = {}) =>
  dpopProof(by, token, { htm: 'POST', htu: HTU, iat: seconds(), ...claims })

const CARRIERS: readonly (readonly [string, Carry])[] = [
  ['headers', inHeaders],
  ['JSON', inJson],
]

for (const format of FORMATS)
  for (const [name, carry] of CARRIERS) {
    test(`a DPoP-bound ${format} token of a real server is good with a proof of its key, in ${name}`, async () => {
      const token = await boundToKey(format)
      const dpop = [await proofOf(key, token)]
      expect(await ask(carry, { scheme: 'DPoP', token, dpop })).toMatchObject({
        ok: true,
        value: {
          agent: { id: 'agent-1', provenance: 'verified' },
          presenter: { proof: 'dpop', thumbprint: key.jkt },
          token: { boundTo: { jkt: key.jkt } },
        },
      })
      expect(await ask(carry, { scheme: 'DPoP', token, dpop })).toMatchObject(denied('pop.replayed'))
    })

    test(`a DPoP-bound ${format} token without its proof, or with another, denies, in ${name}`, async () => {
      const token = await boundToKey(format)
      const good = await proofOf(key, token)
      const cases: readonly (readonly [Sent, string])[] = [
        [{ scheme: 'DPoP', token, dpop: [await proofOf(other, token)] }, 'pop.key'],
        [{ scheme: 'DPoP', token }, 'pop.missing'],
        [{ scheme: 'Bearer', token, dpop: [good] }, 'pop.scheme'],
        [{ scheme: 'Bearer', token }, 'pop.scheme'],
        [{ scheme: 'DPoP', token, dpop: [good, good] }, 'pop.proof'],
        [{ scheme: 'DPoP', token, dpop: [await proofOf(key, 'another token')] }, 'pop.token'],
        [{ scheme: 'DPoP', token, dpop: [await proofOf(key, token, { htm: 'GET' })] }, 'pop.request'],
        [{ scheme: 'DPoP', token, dpop: [await proofOf(key, token, { iat: seconds() - 90 })] }, 'pop.time'],
      ]
      for (const [sent, code] of cases) expect(await ask(carry, sent), code).toMatchObject(denied(code))
      expect(await ask(carry, { scheme: 'DPoP', token, dpop: [good] })).toMatchObject({ ok: true })
    })
  }

test.each(FORMATS)('a proof beside an unbound %s token proves nothing', async (format) => {
  const token = await as.token(format)
  const dpop = [await proofOf(key, token)]
  expect(await ask(inHeaders, { scheme: 'DPoP', token, dpop })).toMatchObject(denied('pop.scheme'))
  const outcome = await ask(inHeaders, { scheme: 'Bearer', token, dpop })
  expect(outcome.ok).toBe(true)
  expect(outcome).not.toMatchObject({ value: { presenter: {} } })
})

for (const format of FORMATS)
  test.each(SOURCES)(
    `a certificate-bound ${format} token of a real server is good with its certificate, from %s`,
    async (source) => {
      const token = await as.tokenFor(client, format)
      const carry = HEADER[source] === undefined ? inJson : inHeaders
      const sent = { scheme: 'Bearer', token, certificate: passed(source, client.certificate) } as const
      expect(await ask(carry, sent, source)).toMatchObject({
        ok: true,
        value: { agent: { id: 'agent-tls' }, presenter: { proof: 'mtls' } },
      })
      const foreign = { ...sent, certificate: passed(source, stranger.certificate) }
      expect(await ask(carry, foreign, source)).toMatchObject(denied('pop.key'))
      expect(await ask(carry, { scheme: 'Bearer', token }, source)).toMatchObject(denied('pop.missing'))
      expect(await ask(carry, { ...sent, scheme: 'DPoP' }, source)).toMatchObject(denied('pop.scheme'))
      // Whoever writes the header of another kind of gateway is not that gateway.
      const elsewhere = source === 'xfcc' ? 'nginx' : 'xfcc'
      expect(await ask(carry, sent, elsewhere)).toMatchObject(denied('pop.certificate_source'))
    },
  )

test('two certificates are never one', async () => {
  const token = await as.tokenFor(client, 'jwt')
  const { value } = passed('xfcc', client.certificate)
  const certificate = { source: 'xfcc', value: `${value},${value}` } as const
  expect(await ask(inHeaders, { scheme: 'Bearer', token, certificate })).toMatchObject(
    denied('pop.certificate'),
  )
})
