import { failed, type Result, success } from '#lib/result.ts'
import type { CertificateSource, Malformed, PassedCertificate, Proofs } from '#model/request.ts'
import type { HeaderMap } from './headers.ts'

/** Headers in which a gateway passes its client's certificate on, by their source; each may occur once. */
const CERTIFICATE_HEADERS: ReadonlyMap<string, CertificateSource> = new Map([
  ['x-forwarded-client-cert', 'xfcc'],
  ['x-ssl-client-cert', 'nginx'],
  ['client-cert', 'rfc9440'],
])
const ONCE = [...CERTIFICATE_HEADERS.keys(), 'client-cert-chain', 'x-ssl-client-verify']
const PROOF_HEADERS: ReadonlySet<string> = new Set([
  ...ONCE,
  'dpop',
  'workload-identity-token',
  'workload-proof-token',
  'txn-token',
  'signature',
  'signature-input',
])
const NONE: readonly string[] = []

/** Whether `name` (lower case) is a header that proves who sends the call. */
export function isProofHeader(name: string): boolean {
  return PROOF_HEADERS.has(name)
}

/**
 * What the headers carry to prove who presents the token; undefined when there is nothing. Proofs that must be alone keep their
 * duplicates, so that verification can say so; a certificate header that occurs twice is a conflict.
 */
export function proofsOf(
  headers: HeaderMap,
  rawHeaders: readonly string[],
): Result<Proofs | undefined, Malformed> {
  let found = false
  for (const name of PROOF_HEADERS) found ||= headers.has(name)
  if (!found) return success(undefined)
  const repeated = ONCE.find((name) => (headers.get(name)?.length ?? 0) > 1)
  if (repeated !== undefined)
    return failed({
      code: 'request.header_conflict',
      message: `the header \`${repeated}\` occurs more than once`,
    })
  return success({
    dpop: headers.get('dpop') ?? NONE,
    certificates: certificatesOf(headers),
    workloadToken: headers.get('workload-identity-token') ?? NONE,
    workloadProof: headers.get('workload-proof-token') ?? NONE,
    transactionToken: headers.get('txn-token') ?? NONE,
    ...((headers.has('signature-input') || headers.has('signature')) && {
      signedHeaders: pairsOf(rawHeaders),
    }),
  })
}

function certificatesOf(headers: HeaderMap): readonly PassedCertificate[] {
  const found: PassedCertificate[] = []
  for (const [name, source] of CERTIFICATE_HEADERS) {
    const value = headers.get(name)?.[0]
    if (value === undefined) continue
    const chain = source === 'rfc9440' ? headers.get('client-cert-chain')?.[0] : undefined
    const verified = source === 'nginx' ? headers.get('x-ssl-client-verify')?.[0] : undefined
    found.push({
      source,
      value,
      ...(chain !== undefined && { chain }),
      ...(verified !== undefined && { verified }),
    })
  }
  return found
}

function pairsOf(rawHeaders: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    pairs.push([(rawHeaders[i] ?? '').toLowerCase(), rawHeaders[i + 1] ?? ''])
  return pairs
}
