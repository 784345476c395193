import { randomUUID } from 'node:crypto'
import { importJWK, type JWK, SignJWT } from 'jose'
import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import type { ClientCredentials, Issuer } from '#model/issuer.ts'
import type { OutboundRequest } from './outbound.ts'

/** A form that is posted to an endpoint of an issuer, before Warder has proved itself. */
export interface Post {
  readonly url: string
  readonly form: { readonly [name: string]: string }
  /** Media type of the answer. */
  readonly accept: string
}

const ASSERTION_SECONDS = 60
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * The request that posts a form as the client that an issuer knows (RFC 6749 section 2.3). What the form holds travels in the
 * body only.
 *
 * @param secret in the clear
 * @throws when the secret is no key; the message does not hold it
 */
export async function authenticated(
  { url, form: fields, accept }: Post,
  { clientId, authentication }: ClientCredentials,
  secret: string,
  issuer: Pick<Issuer, 'issuer' | 'privateNetwork'>,
  now: EpochMilliseconds,
): Promise<OutboundRequest> {
  const form = new URLSearchParams(fields)
  const headers: { [name: string]: string } = {
    accept,
    'content-type': 'application/x-www-form-urlencoded',
  }
  if (authentication === 'private_key_jwt') {
    form.set('client_assertion_type', JWT_BEARER)
    form.set('client_assertion', await assertion(clientId, secret, issuer.issuer, now))
  }
  if (authentication === 'client_secret_basic') headers['authorization'] = basic(clientId, secret)
  else form.set('client_id', clientId)
  return {
    url,
    method: 'POST',
    headers,
    body: form.toString(),
    privateNetwork: issuer.privateNetwork === true,
    // One PEM text holds both; each reader takes its own part.
    ...(authentication === 'tls_client_auth' && { tls: { cert: secret, key: secret } }),
  }
}

/** RFC 7523 section 3, for exactly this issuer, good for a minute and once. */
async function assertion(
  clientId: string,
  secret: string,
  audience: string,
  now: EpochMilliseconds,
): Promise<string> {
  const jwk = keyOf(secret)
  if (jwk?.alg === undefined) throw new Error('the secret is no private JWK with `alg`')
  const key = await importJWK(jwk, jwk.alg)
  const seconds = toSeconds(now)
  return await new SignJWT({})
    .setProtectedHeader({ alg: jwk.alg, ...(jwk.kid !== undefined && { kid: jwk.kid }) })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + ASSERTION_SECONDS)
    .sign(key)
}

/** INVARIANT: the message of a JSON parser would repeat the text that it could not parse. */
function keyOf(secret: string): JWK | undefined {
  try {
    return JSON.parse(secret) as JWK
  } catch {
    return undefined
  }
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first. */
function basic(clientId: string, secret: string): string {
  const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')}`
}
