import { createHash, randomUUID } from 'node:crypto'
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { createKeySets } from '#identity/key-sets.ts'
import { createProofStep } from '#identity/proof/proof-step.ts'
import { createMemoryReplayStore, type ReplayStore } from '#identity/proof/replay.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import type { AuthorizationRequest, PassedCertificate, Proofs } from '#model/request.ts'
import { gateway, NOW_SECONDS, request } from './tokens.ts'

/** The gateway that proof tests ask through, and the call that they are about. */
export const SETTINGS: GatewaySettings = { externalUrl: 'https://api.example.com' }
export const CALL = { method: 'POST', path: '/mcp', host: 'api.example.com' } as const
export const HTU = 'https://api.example.com/mcp'

/** A client's key for proofs. */
export interface ProofKey {
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly jwk: JWK
  readonly jkt: string
}

export async function proofKey(alg = 'ES256', options: object = {}): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true, ...options })
  const jwk = await exportJWK(publicKey)
  return { alg, privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) }
}

/** A DPoP proof for `token`; claims and header members are added, replaced, or left out (undefined). */
export async function dpopProof(
  key: ProofKey,
  token: string,
  claims: object = {},
  header: object = {},
): Promise<string> {
  const all = {
    jti: randomUUID(),
    htm: CALL.method,
    htu: HTU,
    iat: NOW_SECONDS,
    ath: createHash('sha256').update(token).digest('base64url'),
    ...claims,
  }
  return await new SignJWT(present(all))
    .setProtectedHeader({ alg: key.alg, ...present({ typ: 'dpop+jwt', jwk: key.jwk, ...header }) })
    .sign(key.privateKey)
}

function present(members: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/** Proofs as a reader gives them. */
export function proofsWith(more: Partial<Proofs> = {}): Proofs {
  return { dpop: [], certificates: [], workloadToken: [], workloadProof: [], transactionToken: [], ...more }
}

/** A call in a header dialect with a token under `scheme`. */
export function callWith(
  token: string,
  scheme: 'bearer' | 'dpop',
  proofs: Partial<Proofs> = {},
  more: Partial<AuthorizationRequest> = {},
): AuthorizationRequest {
  return request({
    dialect: 'envoy-http',
    route: CALL,
    credentials: [{ scheme, value: token }],
    proofs: proofsWith(proofs),
    ...more,
  })
}

/** A verifier that checks proofs, on the frozen clock. */
export function verifier(replay: ReplayStore = createMemoryReplayStore()): Verify {
  return createVerify({
    keys: createKeySets({
      clock: () => (NOW_SECONDS * 1000) as EpochMilliseconds,
      fetch: () => Promise.reject(new Error('no test of proofs fetches keys')),
      onFault: () => undefined,
    }),
    proofs: createProofStep({ replay, nonceSecret: () => new Uint8Array(32), onFault: () => undefined }),
  })
}

export function gatewayWith(settings: GatewaySettings = SETTINGS) {
  return gateway({ settings })
}

/** A PEM certificate as each kind of gateway passes it on. */
export function passed(source: PassedCertificate['source'], pem: string): PassedCertificate {
  const der = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  const escaped = encodeURIComponent(pem)
  const values = {
    tls: pem,
    envoy: escaped,
    nginx: escaped,
    rfc9440: `:${der.toString('base64')}:`,
    xfcc: `By=spiffe://acme.example/edge;Hash=${createHash('sha256').update(der).digest('hex')};Cert="${escaped}";Subject="CN=a,O=\\"b;c\\""`,
  }
  return { source, value: values[source], ...(source === 'nginx' && { verified: 'SUCCESS' }) }
}

/** RFC 8705 `x5t#S256` of a PEM certificate. */
export function x5t(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  return createHash('sha256').update(der).digest('base64url')
}
