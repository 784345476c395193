import { type Challenge, statusOf } from '#model/challenge.ts'
import type { Decision } from '#model/decision.ts'
import type { JsonObject } from '#model/value.ts'

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

/** The same for JSON dialects: for programs, and as the status and header that a gateway can pass on to its client. */
export function passedOnChallenge({ reasons }: Decision, challenge: Challenge): JsonObject {
  const { scheme, error, scope, acrValues, maxAgeSeconds, algorithms, nonce, resourceMetadata } = challenge
  return {
    status: statusOf(reasons[0]?.code ?? 'internal.fault', challenge),
    www_authenticate: challengeHeader(challenge),
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
