import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

const ISSUER = 'https://issuer.example'
const AUDIENCE = 'https://repos.example'
const KEY_ID = 'e2e'
const LIFETIME_SECONDS = 300

/** A token issuer with one ES256 key. */
export interface TestIssuer {
  /** The file for `warder issuer add`. */
  readonly document: object
  /** An access token (RFC 9068) for `agent` acting for `user`; `claims` are added or replace the usual ones. */
  token(agent: string, user: string, claims?: JWTPayload): Promise<string>
}

/** Makes a key and the issuer that signs with it. */
export async function createIssuer(): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'ES256', use: 'sig' }
  return {
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
