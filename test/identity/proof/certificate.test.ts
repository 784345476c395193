import { beforeAll, describe, expect, test } from 'vitest'
import { createReadCertificate, type ReadCertificate } from '#identity/proof/certificate.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { CertificateSource, PassedCertificate } from '#model/request.ts'
import { type Authority, type Credentials, newAuthority } from '../../support/certificates.ts'
import {
  callWith,
  dpopProof,
  gatewayWith,
  passed,
  proofKey,
  SETTINGS,
  verifier,
  x5t,
} from '../../support/proofs.ts'
import { claims, issuer, makeKey, type SigningKey, sign, tenantWith } from '../../support/tokens.ts'

const SOURCES: readonly CertificateSource[] = ['tls', 'envoy', 'xfcc', 'nginx', 'rfc9440']
/** Certificates are made on the real clock. */
const now = Date.now() as EpochMilliseconds

let signer: SigningKey
let authority: Authority
let client: Credentials
let other: Credentials
let expired: Credentials
let token: string
beforeAll(async () => {
  signer = await makeKey('ES256', 'k1')
  authority = await newAuthority('clients')
  client = await authority.issue('client')
  other = await authority.issue('other')
  expired = await authority.issue('old', { expired: true })
  token = await bound({ 'x5t#S256': x5t(client.certificate) })
})

async function bound(cnf: object): Promise<string> {
  const second = Math.floor(now / 1000)
  return await sign(signer, claims({ cnf, iat: second - 60, exp: second + 600 }))
}

async function ask(
  certificates: readonly PassedCertificate[],
  settings: GatewaySettings,
  credential: string = token,
) {
  const request = callWith(credential, 'bearer', { certificates }, { now })
  return await verifier()(request, gatewayWith(settings), tenantWith([issuer([signer])]))
}

const denial = (code: ReasonCode) => ({
  ok: false,
  failure: { code, challenge: { scheme: 'Bearer', error: 'invalid_token' } },
})

describe.each(SOURCES)('a certificate that comes as %s', (source) => {
  const settings = { certificateSource: source }

  test('proves the token that is bound to it', async () => {
    expect(await ask([passed(source, client.certificate)], settings)).toMatchObject({
      ok: true,
      value: {
        presenter: {
          proof: 'mtls',
          thumbprint: x5t(client.certificate),
          certificate: { issuer: 'CN=clients' },
        },
      },
    })
  })

  test('does not prove a token that is bound to another', async () => {
    expect(await ask([passed(source, other.certificate)], settings)).toMatchObject(denial('pop.key'))
  })

  test('denies when it has expired, even where it is the right one', async () => {
    const old = await bound({ 'x5t#S256': x5t(expired.certificate) })
    expect(await ask([passed(source, expired.certificate)], settings, old)).toMatchObject(
      denial('pop.certificate'),
    )
  })

  test.each(['', 'x', ':AAAA:', '%', 'Hash=x', 'By=a'])('denies when it is %j', async (value) => {
    const broken = { ...passed(source, client.certificate), value }
    expect(await ask([broken], settings)).toMatchObject(denial('pop.certificate'))
  })

  test.each(SOURCES.filter((each) => each !== source))(
    'counts for nothing where %s is registered',
    async (registered) => {
      const foreign = passed(source, client.certificate)
      expect(await ask([foreign], { certificateSource: registered })).toMatchObject(
        denial('pop.certificate_source'),
      )
      const plain = await sign(
        signer,
        claims({ iat: Math.floor(now / 1000), exp: Math.floor(now / 1000) + 60 }),
      )
      expect(await ask([foreign], { certificateSource: registered }, plain)).toMatchObject(
        denial('pop.certificate_source'),
      )
      const own = passed(registered, client.certificate)
      expect(await ask([own, foreign], { certificateSource: registered })).toMatchObject(
        denial('pop.certificate_source'),
      )
    },
  )

  test('counts for nothing where none is registered', async () => {
    expect(await ask([passed(source, client.certificate)], {})).toMatchObject(
      denial('pop.certificate_source'),
    )
  })
})

test.each([
  ['that is not valid yet', { fromDays: 1 }],
  ['that is for servers only', { purposes: ['1.3.6.1.5.5.7.3.1'] }],
  ['that signs code', { purposes: ['1.3.6.1.5.5.7.3.3'] }],
] as const)('a certificate %s denies, even where it is the right one', async (_what, options) => {
  const odd = await authority.issue('odd', options)
  const credential = await bound({ 'x5t#S256': x5t(odd.certificate) })
  const certificate = passed('envoy', odd.certificate)
  expect(await ask([certificate], { certificateSource: 'envoy' }, credential)).toMatchObject(
    denial('pop.certificate'),
  )
})

test('a certificate for any purpose, or for clients alone, is one for clients', async () => {
  for (const purpose of ['2.5.29.37.0', '1.3.6.1.5.5.7.3.2']) {
    const fine = await authority.issue('fine', { purposes: [purpose] })
    const credential = await bound({ 'x5t#S256': x5t(fine.certificate) })
    const certificate = passed('envoy', fine.certificate)
    expect(await ask([certificate], { certificateSource: 'envoy' }, credential)).toMatchObject({ ok: true })
  }
})

test('a bound token without a certificate denies', async () => {
  expect(await ask([], { certificateSource: 'envoy' })).toMatchObject(denial('pop.missing'))
})

describe('X-Forwarded-Client-Cert', () => {
  const settings = { certificateSource: 'xfcc' } as const
  const header = (value: string) => [{ source: 'xfcc', value }] as const
  const cert = (pem: string) => `Cert="${encodeURIComponent(pem)}"`

  test('the digest alone suffices where the gateway sends no certificate', async () => {
    expect(await ask(header(`Hash=${client.sha256};URI=spiffe://a/b`), settings)).toMatchObject({
      ok: true,
      value: { presenter: { proof: 'mtls', thumbprint: x5t(client.certificate) } },
    })
    expect(await ask(header(`hash=${client.sha256.toUpperCase()}`), settings)).toMatchObject({ ok: true })
  })

  test('a certificate stands above the digest, and both must agree', async () => {
    const value = `Hash=${client.sha256};${cert(other.certificate)}`
    expect(await ask(header(value), settings)).toMatchObject(denial('pop.certificate'))
  })

  test.each([
    ['two hops, the right one last', () => `Hash=${other.sha256},Hash=${client.sha256}`],
    ['two hops, the right one first', () => `Hash=${client.sha256},Hash=${other.sha256}`],
    ['two equal hops', () => `Hash=${client.sha256},Hash=${client.sha256}`],
    ['an empty hop', () => `Hash=${client.sha256},`],
    ['two digests', () => `Hash=${other.sha256};Hash=${client.sha256}`],
    ['a quote that is left open', () => `Hash=${client.sha256};Subject="`],
    ['text behind a quote', () => `Hash="${client.sha256}"x`],
    ['two certificates in one', () => cert(client.certificate + other.certificate)],
  ])('%s denies', async (_what, value) => {
    expect(await ask(header(value()), settings)).toMatchObject(denial('pop.certificate'))
  })

  test('commas and semicolons inside quotes separate nothing', async () => {
    const value = `Subject="CN=a,Hash=${other.sha256};b=\\"c\\"";Hash=${client.sha256}`
    expect(await ask(header(value), settings)).toMatchObject({ ok: true })
  })
})

test.each(['NONE', 'FAILED:self-signed', '', undefined])(
  'a certificate that nginx names with `$ssl_client_verify` %s denies',
  async (verified) => {
    const { source, value } = passed('nginx', client.certificate)
    const certificate = { source, value, ...(verified !== undefined && { verified }) }
    expect(await ask([certificate], { certificateSource: 'nginx' })).toMatchObject(denial('pop.certificate'))
  },
)

test('a token that is bound to key and certificate needs both', async () => {
  const key = await proofKey()
  const both = await bound({ jkt: key.jkt, 'x5t#S256': x5t(client.certificate) })
  const settings = { ...SETTINGS, certificateSource: 'envoy' } as const
  const right = [passed('envoy', client.certificate)]
  const iat = Math.floor(now / 1000)
  const send = async (
    scheme: 'bearer' | 'dpop',
    certificates: readonly PassedCertificate[],
    hasProof: boolean,
  ) => {
    const dpop = hasProof ? [await dpopProof(key, both, { iat })] : []
    const request = callWith(both, scheme, { certificates, dpop }, { now })
    return await verifier()(request, gatewayWith(settings), tenantWith([issuer([signer])]))
  }
  expect(await send('dpop', right, true)).toMatchObject({ ok: true, value: { presenter: { proof: 'dpop' } } })
  expect(await send('dpop', right, false)).toMatchObject({ failure: { code: 'pop.missing' } })
  expect(await send('dpop', [], true)).toMatchObject({ failure: { code: 'pop.missing' } })
  expect(await send('dpop', [passed('envoy', other.certificate)], true)).toMatchObject({
    failure: { code: 'pop.key' },
  })
  expect(await send('bearer', right, true)).toMatchObject({ failure: { code: 'pop.scheme' } })
})

describe('certificates that were read are kept', () => {
  const leafOf = (read: ReadCertificate, from: Credentials) => {
    const found = read(passed('envoy', from.certificate), now)
    return found.ok ? found.value.leaf : undefined
  }

  test('until there are too many of them', () => {
    const read = createReadCertificate(1)
    const first = leafOf(read, client)
    expect(leafOf(read, client)).toBe(first)
    expect(leafOf(read, other)).not.toBe(first)
    expect(leafOf(read, client)).not.toBe(first)
  })

  test('until they are too long together', () => {
    const { length } = encodeURIComponent(client.certificate)
    const read = createReadCertificate(100, 1.5 * length)
    const first = leafOf(read, client)
    expect(leafOf(read, client)).toBe(first)
    leafOf(read, other)
    expect(leafOf(read, client)).not.toBe(first)
  })

  test('and one that is too long by itself is not', () => {
    const read = createReadCertificate(100, 100)
    expect(leafOf(read, client)).toBeDefined()
    expect(leafOf(read, client)).not.toBe(leafOf(read, client))
  })

  test('and what follows it makes another one', () => {
    const read = createReadCertificate()
    const bytes = (from: Credentials) => `:${from.certificate.replace(/-----[A-Z ]+-----|\s/g, '')}:`
    const alone = read({ source: 'rfc9440', value: bytes(client) }, now)
    const chained = read({ source: 'rfc9440', value: bytes(client), chain: bytes(authority) }, now)
    expect([alone, chained]).toMatchObject([{ value: { chain: [] } }, { value: { chain: [{}] } }])
  })
})
