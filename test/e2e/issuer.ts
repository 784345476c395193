import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose'

const ISSUER = 'https://issuer.example'
const AUDIENCE = 'https://repos.example'
const KEY_ID = 'e2e'
const LIFETIME_SECONDS = 300

/** A token issuer with one ES256 key. */
export interface TestIssuer {
  /** The file for `warder issuer add`. */
  readonly document: object
  /** Its private key. */
  readonly secret: JWK
  /** An access token (RFC 9068) for `agent` acting for `user`; `claims` are added or replace the usual ones. */
  token(agent: string, user: string, claims?: JWTPayload): Promise<string>
}

/** The issuer that signs with `secret`. Default: a new key. */
export async function createIssuer(secret?: JWK): Promise<TestIssuer> {
  const key = secret ?? (await newKey())
  const privateKey = await importJWK(key, 'ES256')
  const { d: _, ...publicKey } = key
  const jwk = { ...publicKey, kid: KEY_ID, alg: 'ES256', use: 'sig' }
  return {
    secret: key,
    document: {
      issuer: ISSUER,
      audience: [AUDIENCE],
      algorithms: ['ES256'],
      jwks: { keys: [jwk] },
      claims: { tenant: 'tenant' },
    },
    token(agent, user, claims = {}) {
      const now = Math.floor(Date.now() / 1000)
      const usual = {
        iss: ISSUER,
        aud: AUDIENCE,
        sub: user,
        client_id: agent,
        tenant: 'demo',
        iat: now,
        exp: now + LIFETIME_SECONDS,
        jti: crypto.randomUUID(),
      }
      return new SignJWT({ ...usual, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: KEY_ID, typ: 'at+jwt' })
        .sign(privateKey)
    },
  }
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return await exportJWK(privateKey)
}
