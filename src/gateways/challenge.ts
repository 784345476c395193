import type { Challenge } from '#model/challenge.ts'
import type { JsonObject } from '#model/value.ts'

/** What a client must be told for denials that have no challenge of their own; undefined where no credential would help. */
export function challengeFor(code: string): Challenge | undefined {
  // RFC 6750 section 3: no error code when no credential was sent.
  if (code === 'identity.missing' || code === 'credentials.missing') return { scheme: 'Bearer' }
  // Nothing is known about the token, and the client must not throw it away.
  if (code === 'token.keys_unavailable' || code === 'token.introspection_unavailable') return undefined
  if (code.startsWith('token.') || code.startsWith('pop.'))
    return { scheme: 'Bearer', error: 'invalid_token' }
  if (code.startsWith('credentials.')) return { scheme: 'Bearer', error: 'invalid_request' }
  return undefined
}

/** Whether a better credential would not do: then the answer is 403 rather than 401 (RFC 6750 section 3.1). */
export function isForbidden({ error }: Challenge): boolean {
  return error === 'insufficient_scope' || error === 'actor_unauthorized'
}

/** The value of `WWW-Authenticate`: RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728 section 5.1. */
export function challengeHeader(challenge: Challenge): string {
  const { scheme, error, scope, acrValues, maxAgeSeconds, algorithms, resourceMetadata } = challenge
  const parameters: readonly (readonly [string, string | undefined])[] = [
    ['realm', 'warder'],
    ['error', error],
    ['scope', scope?.join(' ')],
    ['acr_values', acrValues?.join(' ')],
    ['max_age', maxAgeSeconds?.toString()],
    ['algs', algorithms?.join(' ')],
    ['resource_metadata', resourceMetadata],
  ]
  const written = parameters.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${quotable(value)}"`],
  )
  return `${scheme} ${written.join(', ')}`
}

/** The same for JSON dialects. */
export function challengeJson(challenge: Challenge): JsonObject {
  const { scheme, error, scope, acrValues, maxAgeSeconds, algorithms, nonce, resourceMetadata } = challenge
  return {
    scheme,
    ...(error !== undefined && { error }),
    ...(scope !== undefined && { scope }),
    ...(acrValues !== undefined && { acr_values: acrValues }),
    ...(maxAgeSeconds !== undefined && { max_age: maxAgeSeconds }),
    ...(algorithms !== undefined && { algs: algorithms }),
    ...(nonce !== undefined && { nonce }),
    ...(resourceMetadata !== undefined && { resource_metadata: resourceMetadata }),
  }
}

/** INVARIANT: no value can end its quotes or its header line. */
function quotable(value: string): string {
  return value.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '')
}
