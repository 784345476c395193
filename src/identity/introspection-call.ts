import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Introspection, Issuer } from '#model/issuer.ts'
import type { JsonObject } from '#model/value.ts'
import { isObject } from './claim-path.ts'
import { authenticated } from './client-authentication.ts'
import { parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import type { OutboundRequest, SendOutbound } from './outbound.ts'
import { verifyText } from './signature.ts'
import { parseStrictObject } from './strict-json.ts'

/** The secret that proves us to the issuer; undefined when it is not there. */
export type OpenSecret = (tenant: TenantId, issuer: Issuer) => string | undefined

/** What asking needs. */
export interface IntrospectionParts {
  readonly send: SendOutbound
  readonly openSecret: OpenSecret
  readonly keys: KeySets
}

/** One question about one token. */
export interface Question {
  readonly tenant: TenantId
  readonly issuer: Issuer
  readonly introspection: Introspection
  readonly token: string
  readonly now: EpochMilliseconds
}

const SIGNED_TYPE = 'token-introspection+jwt'
const RESPONSE_AGE_SECONDS_MAX = 60

/**
 * Asks the issuer about a token (RFC 7662) and gives its answer. The token travels in the body of a POST only.
 *
 * @throws when no trustworthy answer could be had; the message holds neither the token nor the secret
 */
export async function askIssuer(parts: IntrospectionParts, question: Question): Promise<JsonObject> {
  const { introspection } = question
  const secret = parts.openSecret(question.tenant, question.issuer)
  if (secret === undefined) throw new Error('the introspection secret can not be opened')
  const answer = await parts.send(await requestOf(question, secret))
  if (answer.status !== 200) throw new Error(`introspection answered ${answer.status}`)
  const isSigned = answer.contentType === `application/${SIGNED_TYPE}`
  if (introspection.signed !== isSigned) throw new Error(`introspection answered with ${answer.contentType}`)
  if (isSigned) return await readSigned(parts, question, answer.body)
  const parsed = parseStrictObject(answer.body)
  if (parsed === undefined) throw new Error('introspection answered with no strict JSON object')
  return parsed
}

async function requestOf(question: Question, secret: string): Promise<OutboundRequest> {
  const { introspection, issuer, token, now } = question
  const post = {
    url: introspection.url,
    form: { token, token_type_hint: 'access_token' },
    accept: introspection.signed ? `application/${SIGNED_TYPE}` : 'application/json',
  }
  return await authenticated(post, introspection, secret, issuer, now)
}

/** RFC 9701 section 5: signed by the issuer for us, fresh, and no access token itself. */
async function readSigned(
  { keys }: IntrospectionParts,
  { tenant, issuer, introspection, now }: Question,
  body: string,
): Promise<JsonObject> {
  const parsed = parseJwt(body)
  if (!parsed.ok) throw new Error('the signed answer is not a well-formed JWT')
  const jwt = parsed.value
  const { aud, iat, token_introspection: answer } = jwt.payload
  if (jwt.typ !== SIGNED_TYPE || !issuer.algorithms.includes(jwt.alg))
    throw new Error('the signed answer has another type or algorithm')
  const audience = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  if (jwt.issuer !== issuer.issuer || audience !== introspection.clientId)
    throw new Error('the signed answer is from or for somebody else')
  const age = typeof iat === 'number' ? Math.abs(toSeconds(now) - iat) : Number.POSITIVE_INFINITY
  if (age > RESPONSE_AGE_SECONDS_MAX + issuer.clockToleranceSeconds)
    throw new Error('the signed answer is not fresh')
  if (Object.hasOwn(jwt.payload, 'sub') || Object.hasOwn(jwt.payload, 'exp'))
    throw new Error('the signed answer could pass for a token')
  if (!(await verifyText(jwt, tenant, issuer, keys)).ok) throw new Error('the signature does not verify')
  if (!isObject(answer)) throw new Error('the signed answer has no `token_introspection`')
  return answer
}
