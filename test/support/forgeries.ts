import { constants, createHash, privateEncrypt, sign as signBytes } from 'node:crypto'
import { expect } from 'vitest'
import { type Carrier, honest, makePair, type Pair, type Sign } from './carriers.ts'

/** Orders of the groups that ECDSA and Ed25519 compute in. */
const P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const ED25519 = 2n ** 252n + 27742317777372353535851937790883648493n

/** A number in so many bytes, big end first. */
export const bytesOf = (value: bigint, length: number) =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex')
const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const half = (value: bigint) => bytesOf(value, 32)
const pairOf =
  (r: bigint, s: bigint): Sign =>
  () =>
    Buffer.concat([half(r), half(s)])
/** Changes an honest signature. */
const altered =
  (pair: Pair, change: (signature: Buffer) => Uint8Array): Sign =>
  (input) =>
    change(Buffer.from(honest(pair)(input)))

/** What an attacker puts in the place of a signature, and how it is made. */
export type Forgery = readonly [string, (pair: Pair) => Sign]

/** What is no ES256 signature. */
export const ECDSA: readonly Forgery[] = [
  ['r and s that are 0', () => pairOf(0n, 0n)],
  ['r that is 0', () => pairOf(0n, 1n)],
  ['s that is 0', () => pairOf(1n, 0n)],
  ['r and s that are 1', () => pairOf(1n, 1n)],
  ['r and s that are the order', () => pairOf(P256, P256)],
  [
    's that is the order',
    (pair) => altered(pair, (made) => Buffer.concat([made.subarray(0, 32), half(P256)])),
  ],
  ['r that is the order', (pair) => altered(pair, (made) => Buffer.concat([half(P256), made.subarray(32)]))],
  ['r and s one below the order', () => pairOf(P256 - 1n, P256 - 1n)],
  ['r and s one above the order', () => pairOf(P256 + 1n, P256 + 1n)],
  ['r and s of nothing but ones', () => pairOf(2n ** 256n - 1n, 2n ** 256n - 1n)],
  [
    's negated',
    (pair) =>
      altered(pair, (made) =>
        Buffer.concat([made.subarray(0, 32), half(2n ** 256n - numberOf(made.subarray(32)))]),
      ),
  ],
  [
    'r and s exchanged',
    (pair) => altered(pair, (made) => Buffer.concat([made.subarray(32), made.subarray(0, 32)])),
  ],
  [
    'DER instead of two numbers',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha256', input, privateKey),
  ],
  ['one byte less', (pair) => altered(pair, (made) => made.subarray(0, 63))],
  ['one byte more', (pair) => altered(pair, (made) => Buffer.concat([made, Buffer.of(0)]))],
  ['a zero before it', (pair) => altered(pair, (made) => Buffer.concat([Buffer.of(0), made]))],
  [
    'a zero before both numbers',
    (pair) =>
      altered(pair, (made) =>
        Buffer.concat([Buffer.of(0), made.subarray(0, 32), Buffer.of(0), made.subarray(32)]),
      ),
  ],
  [
    'the width of P-384',
    (pair) =>
      altered(pair, (made) =>
        Buffer.concat([Buffer.alloc(16), made.subarray(0, 32), Buffer.alloc(16), made.subarray(32)]),
      ),
  ],
  ['itself twice', (pair) => altered(pair, (made) => Buffer.concat([made, made]))],
  ['half of it', (pair) => altered(pair, (made) => made.subarray(0, 32))],
  ['one byte', () => () => Buffer.of(0)],
  [
    'another digest',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha512', input, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
  ],
  [
    'the digest of its digest',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha256', createHash('sha256').update(input).digest(), {
          key: privateKey,
          dsaEncoding: 'ieee-p1363',
        }),
  ],
]

/** `S` as Ed25519 writes it, little end first, with `times` the order added to it. */
const beyondOrder = (made: Buffer, times: bigint): Buffer => {
  const s = numberOf(Buffer.from(made.subarray(32)).reverse()) + times * ED25519
  return Buffer.concat([made.subarray(0, 32), bytesOf(s, 32).reverse()])
}

/** What is no Ed25519 signature. */
export const EDDSA: readonly Forgery[] = [
  ['S plus the order', (pair) => altered(pair, (made) => beyondOrder(made, 1n))],
  ['S plus twice the order', (pair) => altered(pair, (made) => beyondOrder(made, 2n))],
  [
    'S that is the order',
    (pair) => altered(pair, (made) => Buffer.concat([made.subarray(0, 32), bytesOf(ED25519, 32).reverse()])),
  ],
  [
    'the top bit of S',
    (pair) =>
      altered(pair, (made) => Buffer.concat([made.subarray(0, 63), Buffer.of((made.at(63) ?? 0) | 0x80)])),
  ],
  [
    'the sign of R',
    (pair) =>
      altered(pair, (made) =>
        Buffer.concat([made.subarray(0, 31), Buffer.of((made.at(31) ?? 0) ^ 0x80), made.subarray(32)]),
      ),
  ],
  ['nothing but zeros', () => () => Buffer.alloc(64)],
  ['R that is the neutral element and S 0', () => () => Buffer.concat([Buffer.of(1), Buffer.alloc(63)])],
  ['one byte less', (pair) => altered(pair, (made) => made.subarray(0, 63))],
  ['one byte more', (pair) => altered(pair, (made) => Buffer.concat([made, Buffer.of(0)]))],
  ['the length of Ed448', (pair) => altered(pair, (made) => Buffer.concat([made, Buffer.alloc(50)]))],
  [
    'a digest instead of the text',
    ({ privateKey }) =>
      (input) =>
        signBytes(null, createHash('sha512').update(input).digest(), privateKey),
  ],
]

/** `DigestInfo` of PKCS #1, before the digest. */
export const SHA256 = Buffer.from('3031300d060960864801650304020105000420', 'hex')
const SHA256_WITHOUT_NULL = Buffer.from('302f300b0609608648016503040201' + '0420', 'hex')
const SHA1 = Buffer.from('3021300906052b0e03021a05000414', 'hex')
/** Digest of a text. */
export const digestOf = (input: Buffer, digest = 'sha256') => createHash(digest).update(input).digest()

/** A block of 256 bytes of our choice, made a signature with the real key. */
const block =
  (make: (input: Buffer) => Buffer): ((pair: Pair) => Sign) =>
  ({ privateKey }) =>
  (input) =>
    privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, make(input))
/** PKCS #1 v1.5: `type`, filling, zero, content, and what follows it. */
export const padded = (content: Buffer, { type = 1, fill = 0xff, after = Buffer.alloc(0) } = {}) => {
  const filling = Buffer.alloc(253 - content.length - after.length, fill)
  return Buffer.concat([Buffer.of(0, type), filling, Buffer.of(0), content, after])
}

/** What is no RS256 signature. */
export const RSA: readonly Forgery[] = [
  ['a digest without its algorithm', block((input) => padded(digestOf(input)))],
  [
    'an algorithm without parameters',
    block((input) => padded(Buffer.concat([SHA256_WITHOUT_NULL, digestOf(input)]))),
  ],
  ['another digest', block((input) => padded(Buffer.concat([SHA1, digestOf(input, 'sha1')])))],
  [
    'the padding of encryption',
    block((input) => padded(Buffer.concat([SHA256, digestOf(input)]), { type: 2 })),
  ],
  ['zeros as filling', block((input) => padded(Buffer.concat([SHA256, digestOf(input)]), { fill: 0 }))],
  [
    'something after the digest',
    block((input) => padded(Buffer.concat([SHA256, digestOf(input)]), { after: Buffer.of(1, 2, 3, 4) })),
  ],
  [
    'short filling and much after the digest',
    block((input) => padded(Buffer.concat([SHA256, digestOf(input)]), { after: Buffer.alloc(190, 7) })),
  ],
  ['no padding', block((input) => Buffer.concat([Buffer.alloc(224), digestOf(input)]))],
  [
    'PSS',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha256', input, {
          key: privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        }),
  ],
  ['a zero before it', (pair) => altered(pair, (made) => Buffer.concat([Buffer.of(0), made]))],
  ['one byte less', (pair) => altered(pair, (made) => made.subarray(0, 255))],
  ['the value 0', () => () => Buffer.alloc(256)],
  ['the value 1', () => () => Buffer.concat([Buffer.alloc(255), Buffer.of(1)])],
  [
    'the modulus',
    ({ jwk }) =>
      () =>
        Buffer.from(jwk.n ?? '', 'base64url'),
  ],
  [
    'the value one below the modulus',
    ({ jwk }) =>
      () =>
        bytesOf(numberOf(Buffer.from(jwk.n ?? '', 'base64url')) - 1n, 256),
  ],
]

/** What is no PS256 signature. */
export const PSS: readonly Forgery[] = [
  [
    'no salt',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha256', input, {
          key: privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 0,
        }),
  ],
  [
    'a salt as long as can be',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha256', input, {
          key: privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN,
        }),
  ],
  [
    'PKCS #1 v1.5',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha256', input, privateKey),
  ],
  [
    'another digest',
    ({ privateKey }) =>
      (input) =>
        signBytes('sha512', input, {
          key: privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 64,
        }),
  ],
]

/** What a denial may say: that the signature or the header is wrong, and never that something behind it is. */
const DENIED: { readonly [carrier: string]: RegExp } = {
  'an access token': /^token\.(signature|malformed|algorithm|key_unknown|keys_unavailable|type)$/,
  'a DPoP proof': /^pop\.(signature|proof)$/,
  'a workload proof': /^workload\.proof$/,
  'a workload token': /^workload\.(proof|untrusted)$/,
  'a transaction token': /^txn\.invalid$/,
}

/** A denial for what is written there, and not for something behind it. */
export async function expectDenied(carrier: Carrier, text: string, what: string): Promise<void> {
  const outcome = await carrier.ask(text)
  expect(outcome.ok, what).toBe(false)
  if (!outcome.ok) expect(outcome.failure.code, what).toMatch(DENIED[carrier.name] ?? /^$/)
}

const PAIRS = new Map(['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'].map((alg) => [alg, makePair(alg)]))
/** The pair of a test file for `alg`. */
export const pairFor = (alg: string): Pair => PAIRS.get(alg) ?? makePair(alg)
