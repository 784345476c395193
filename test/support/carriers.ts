import {
  constants,
  createHash,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  sign as signBytes,
} from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import type { Result } from '#lib/result.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import { CALL, callWith, gatewayWith, HTU, proofsWith, verifier } from './proofs.ts'
import { bearer, claims, gateway, issuer, NOW_SECONDS, request, TENANT, tenantWith } from './tokens.ts'

/** A key pair for one algorithm, to sign anything with. */
export interface Pair {
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JWK
}

/** What stands in a signature's place: bytes made from the signing input. */
export type Sign = (input: Buffer) => Uint8Array

/** A JWS with its place in a call: what it says when it is good, and what the call is answered with. */
export interface Carrier {
  readonly name: string
  readonly header: object
  readonly payload: object
  ask(text: string): Promise<Result<VerifiedIdentity, Stop>>
}

const DOMAIN = 'spiffe://acme.example'
const WORKLOAD = `${DOMAIN}/agents/1`

/** Makes a key pair for `alg`. */
export function makePair(alg: string): Pair {
  const { privateKey, publicKey } = pairOf(alg)
  return { alg, privateKey, publicKey, jwk: exported(publicKey) }
}

function pairOf(alg: string): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2_048 })
}

function exported(key: KeyObject): JWK {
  const members: JsonWebKey = key.export({ format: 'jwk' })
  const texts = Object.entries(members).filter(([, value]) => typeof value === 'string')
  return { kty: members.kty ?? '', ...Object.fromEntries(texts) }
}

/** The signature as it should be. */
export function honest({ alg, privateKey }: Pair): Sign {
  return (input) => {
    if (alg === 'EdDSA') return signBytes(null, input, privateKey)
    const digest = `sha${alg.slice(2)}`
    if (alg.startsWith('ES')) return signBytes(digest, input, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    if (alg.startsWith('RS')) return signBytes(digest, input, privateKey)
    const padding = constants.RSA_PKCS1_PSS_PADDING
    return signBytes(digest, input, {
      key: privateKey,
      padding,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    })
  }
}

/** Text or JSON as a base64url segment. */
export function segment(value: string | object | Uint8Array): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url')
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A JWS in compact form over a header and a payload, which may be any text. */
export function compact(header: string | object, payload: string | object, sign: Sign): string {
  const input = `${segment(header)}.${segment(payload)}`
  return `${input}.${segment(sign(Buffer.from(input)))}`
}

/** All JWS that a call can carry, each verified with the key `pair`. */
export async function carriersOf(pair: Pair): Promise<readonly Carrier[]> {
  return [
    accessToken(pair),
    await dpopCarrier(pair),
    workloadProof(pair),
    workloadToken(pair),
    transaction(pair),
  ]
}

const published = ({ alg, jwk }: Pair): JWK => ({ ...jwk, kid: 'k', alg, use: 'sig' })

function issuerOf(pair: Pair, more: Partial<Issuer> = {}): Issuer {
  const keys = { kind: 'static', keys: [{ ...published(pair) }] } as const
  return { ...issuer([]), algorithms: [pair.alg], keys, ...more }
}

/** A call that its agent signs as a message (RFC 9421), with a token that is bound to the key. */
export async function askSigned(pair: Pair, sign: Sign): Promise<Result<VerifiedIdentity, Stop>> {
  const owner = makePair('ES256')
  const keyId = await calculateJwkThumbprint(pair.jwk)
  const header = { alg: 'ES256', kid: 'k', typ: 'at+jwt' }
  const token = compact(header, claims({ cnf: { jkt: keyId } }), honest(owner))
  const directory = issuerOf(pair, {
    issuer: 'https://agents.example',
    audience: ['agents'],
    profile: 'http-signature',
    types: [],
    keys: { kind: 'static', keys: [{ ...pair.jwk, kid: keyId }] },
  })
  const parameters = `("@method" "@target-uri" "authorization");created=${NOW_SECONDS};expires=${NOW_SECONDS + 60};nonce="n";keyid="${keyId}";tag="agents"`
  const lines = [
    `"@method": ${CALL.method}`,
    `"@target-uri": ${HTU}`,
    `"authorization": Bearer ${token}`,
    `"@signature-params": ${parameters}`,
  ]
  const signature = Buffer.from(sign(Buffer.from(lines.join('\n')))).toString('base64')
  const signedHeaders = [
    ['authorization', `Bearer ${token}`],
    ['signature-input', `s=${parameters}`],
    ['signature', `s=:${signature}:`],
  ] as const
  const asked = callWith(token, 'bearer', { signedHeaders })
  return await verifier()(asked, gatewayWith(), tenantWith([issuerOf(owner), directory]))
}

function accessToken(pair: Pair): Carrier {
  return {
    name: 'an access token',
    header: { alg: pair.alg, kid: 'k', typ: 'at+jwt' },
    payload: claims(),
    ask: (text) => verifier()(request(bearer(text)), gateway(), tenantWith([issuerOf(pair)])),
  }
}

async function dpopCarrier(pair: Pair): Promise<Carrier> {
  const owner = makePair('ES256')
  const jkt = await calculateJwkThumbprint(pair.jwk)
  const header = { alg: 'ES256', kid: 'k', typ: 'at+jwt' }
  const token = compact(header, claims({ cnf: { jkt } }), honest(owner))
  const ath = createHash('sha256').update(token).digest('base64url')
  return {
    name: 'a DPoP proof',
    header: { typ: 'dpop+jwt', alg: pair.alg, jwk: pair.jwk },
    payload: { jti: randomUUID(), htm: CALL.method, htu: HTU, iat: NOW_SECONDS, ath },
    ask: (text) =>
      verifier()(callWith(token, 'dpop', { dpop: [text] }), gatewayWith(), tenantWith([issuerOf(owner)])),
  }
}

function trustDomain(pair: Pair): Issuer {
  return issuerOf(pair, {
    issuer: DOMAIN,
    profile: 'spiffe',
    types: ['', 'jwt', 'jose'],
    keys: { kind: 'static', keys: [{ ...published(pair), use: 'jwt-svid' }] },
  })
}

async function askWorkload(token: string, proof: string, domain: Issuer) {
  const proofs = proofsWith({ workloadToken: [token], workloadProof: [proof] })
  const asked = request({ dialect: 'envoy-http', route: CALL, proofs })
  return await verifier()(asked, gatewayWith(), tenantWith([domain]))
}

const tokenOf = ({ alg, jwk }: Pair) => ({
  sub: WORKLOAD,
  exp: NOW_SECONDS + 600,
  cnf: { jwk: { ...jwk, alg } },
})
const proofFor = (token: string) => ({
  aud: HTU,
  exp: NOW_SECONDS + 60,
  jti: randomUUID(),
  wth: createHash('sha256').update(token).digest('base64url'),
})

function workloadProof(pair: Pair): Carrier {
  const authority = makePair('ES256')
  const header = { alg: 'ES256', kid: 'k', typ: 'wit+jwt' }
  const token = compact(header, tokenOf(pair), honest(authority))
  return {
    name: 'a workload proof',
    header: { typ: 'wpt+jwt', alg: pair.alg },
    payload: proofFor(token),
    ask: (text) => askWorkload(token, text, trustDomain(authority)),
  }
}

function workloadToken(pair: Pair): Carrier {
  const holder = makePair('ES256')
  return {
    name: 'a workload token',
    header: { alg: pair.alg, kid: 'k', typ: 'wit+jwt' },
    payload: tokenOf(holder),
    ask: (text) => {
      const proof = compact({ typ: 'wpt+jwt', alg: 'ES256' }, proofFor(text), honest(holder))
      return askWorkload(text, proof, trustDomain(pair))
    },
  }
}

function transaction(pair: Pair): Carrier {
  const owner = makePair('ES256')
  const token = compact({ alg: 'ES256', kid: 'k', typ: 'at+jwt' }, claims(), honest(owner))
  const service = issuerOf(pair, {
    issuer: 'https://tts.example',
    audience: [TENANT],
    profile: 'txn-token',
    types: ['txntoken+jwt'],
  })
  return {
    name: 'a transaction token',
    header: { alg: pair.alg, kid: 'k', typ: 'txntoken+jwt' },
    payload: {
      aud: TENANT,
      iat: NOW_SECONDS - 10,
      exp: NOW_SECONDS + 60,
      txn: 'txn-1',
      sub: 'somebody',
      scope: 'trade',
      req_wl: 'apigw.acme.example',
    },
    ask: (text) => {
      const asked = callWith(token, 'bearer', { transactionToken: [text] })
      return verifier()(asked, gatewayWith(), tenantWith([issuerOf(owner), service]))
    },
  }
}
