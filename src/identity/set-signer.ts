import { randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import type { JsonObject } from '#model/value.ts'

/** Signs the claims of a security event token as this installation, unless they have an `iss` themselves. */
export type SignSet = (claims: JsonObject) => Promise<string>

/** A signer and the public half of its key, as it is published. */
export interface SetSigner {
  readonly sign: SignSet
  readonly kid: string
  readonly publicKey: JsonObject
}

/** CAEP interoperability asks for RS256 with at least 2048 bits. */
const ALGORITHM = 'RS256'

/** A new private key as text, to be kept where nobody else reads. */
export async function newSetKey(): Promise<string> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true, modulusLength: 2048 })
  return JSON.stringify(await exportJWK(privateKey))
}

/** The signer of a kept key. @throws when the text is none of `newSetKey` */
export async function createSetSigner(issuer: string, text: string): Promise<SetSigner> {
  const jwk: JWK = JSON.parse(text)
  const { kty = '', n = '', e = '' } = jwk
  const key = await importJWK(jwk, ALGORITHM)
  const kid = await calculateJwkThumbprint({ kty, n, e })
  return {
    kid,
    publicKey: { kty, n, e, kid, alg: ALGORITHM, use: 'sig' },
    sign: async (claims) =>
      await new SignJWT({ jti: randomUUID(), iss: issuer, ...claims })
        .setProtectedHeader({ alg: ALGORITHM, kid, typ: 'secevent+jwt' })
        .sign(key),
  }
}
