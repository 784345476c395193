import { constants, createHmac, sign as signBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { askSigned, type Carrier, carriersOf, compact, honest, type Sign } from '../support/carriers.ts'
import { ECDSA, EDDSA, expectDenied, PSS, pairFor, RSA } from '../support/forgeries.ts'

describe.each([
  ['ES256', ECDSA],
  ['EdDSA', EDDSA],
  ['RS256', RSA],
  ['PS256', PSS],
] as const)('where %s is due', (alg, forgeries) => {
  const pair = pairFor(alg)
  let carriers: readonly Carrier[]
  beforeAll(async () => {
    carriers = await carriersOf(pair)
  })

  test('an honest signature is accepted, wherever it comes', async () => {
    for (const carrier of carriers) {
      const outcome = await carrier.ask(compact(carrier.header, carrier.payload, honest(pair)))
      expect(outcome, carrier.name).toMatchObject({ ok: true })
    }
  })

  test.each(forgeries)('a signature with %s denies, wherever it comes', async (_what, forge) => {
    for (const carrier of carriers)
      await expectDenied(carrier, compact(carrier.header, carrier.payload, forge(pair)), carrier.name)
  })

  test.each(
    [
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      ' ',
      'HS256',
      'HS384',
      'HS512',
      'ES256',
      'ES384',
      'ES256K',
      'es256',
      'ES256 ',
      'RS256',
      'RS1',
      'PS256',
      'EdDSA',
      'Ed448',
      'dir',
      'A128KW',
      'null',
      '__proto__',
      'constructor',
    ].filter((each) => each !== alg),
  )('a header that says %j denies, whatever the signature', async (other) => {
    const { publicKey, jwk } = pair
    const secrets = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      Buffer.from(jwk.x ?? jwk.n ?? '', 'base64url'),
      JSON.stringify(jwk),
      '',
    ]
    const signs: Sign[] = [
      honest(pair),
      ...secrets.map((secret) => (input: Buffer) => createHmac('sha256', secret).update(input).digest()),
      () => Buffer.alloc(0),
    ]
    for (const carrier of carriers)
      for (const sign of signs)
        await expectDenied(
          carrier,
          compact({ ...carrier.header, alg: other }, carrier.payload, sign),
          carrier.name,
        )
  })
})

test.each([
  ['ES256', 'ES384'],
  ['ES384', 'ES256'],
  ['RS256', 'PS256'],
  ['PS256', 'RS256'],
])('a key for %s signs nothing under %s', async (own, other) => {
  const pair = { ...pairFor(own) }
  const digest = `sha${other.slice(2)}`
  const padding = other.startsWith('PS') ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const options = own.startsWith('ES')
    ? ({ key: pair.privateKey, dsaEncoding: 'ieee-p1363' } as const)
    : { key: pair.privateKey, padding, ...(other.startsWith('PS') && { saltLength: 32 }) }
  // A proof brings its own key, whose algorithm is no further bound than by its kind: RSA signs either way.
  const isBound = (name: string) => own.startsWith('ES') || name !== 'a DPoP proof'
  for (const carrier of (await carriersOf(pair)).filter(({ name }) => isBound(name))) {
    const text = compact({ ...carrier.header, alg: other }, carrier.payload, (input) =>
      signBytes(digest, input, options),
    )
    await expectDenied(carrier, text, carrier.name)
  }
})

describe.each([
  ['ES256', ECDSA],
  ['EdDSA', EDDSA],
] as const)('where a call is signed with %s', (alg, forgeries) => {
  const pair = pairFor(alg)

  test('an honest signature proves the key', async () => {
    expect(await askSigned(pair, honest(pair))).toMatchObject({
      ok: true,
      value: { presenter: { proof: 'http-signature' } },
    })
  })

  test.each(forgeries)('a signature with %s denies', async (_what, forge) => {
    const denied = { ok: false, failure: { code: 'signature.invalid' } }
    expect(await askSigned(pair, forge(pair))).toMatchObject(denied)
  })
})
