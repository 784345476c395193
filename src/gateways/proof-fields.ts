import { z } from 'zod'
import { failed, type Result, success } from '#lib/result.ts'
import type { HttpCall, Malformed, Proofs } from '#model/request.ts'
import { readRawPath } from './raw-path.ts'

const TOKEN_CHARACTERS_MAX = 16_384
const CERTIFICATE_CHARACTERS_MAX = 65_536
const NONE: readonly string[] = []

const text = (charactersMax: number) =>
  z
    .string('must be a text')
    .min(1, 'must not be empty')
    .max(charactersMax, `may have ${charactersMax} characters`)
const tokens = (header: string) =>
  z
    .array(text(TOKEN_CHARACTERS_MAX))
    .max(4, 'may have 4 items')
    .describe(`Each \`${header}\` header of the call, verbatim.`)
    .optional()

/** What came with the agent's call to prove who presents the token, as a gateway's body passes it on. */
export const proofsSchema = z
  .strictObject({
    call: z
      .strictObject({
        method: z.string('must be a text').regex(/^[A-Z][A-Z0-9_-]{0,31}$/, 'must be a method in upper case'),
        path: text(8_192).describe('Path and query as the client sent them.'),
        host: text(255).describe('Host as the client sent it.').optional(),
      })
      .describe('The HTTP call that the proofs are about.')
      .optional(),
    dpop: tokens('DPoP'),
    certificate: z
      .strictObject({
        source: z
          .enum(['tls', 'envoy', 'xfcc', 'nginx', 'rfc9440'])
          .describe(
            'Form of the value: `tls` PEM, `envoy` and `nginx` escaped PEM, `xfcc` and `rfc9440` their header.',
          ),
        value: text(CERTIFICATE_CHARACTERS_MAX),
        chain: text(CERTIFICATE_CHARACTERS_MAX).describe('`Client-Cert-Chain`, with `rfc9440`.').optional(),
        verified: text(256).describe('`$ssl_client_verify`, with `nginx`.').optional(),
      })
      .describe('Client certificate of the call.')
      .optional(),
    workload_token: tokens('Workload-Identity-Token'),
    workload_proof: tokens('Workload-Proof-Token'),
    transaction_token: tokens('Txn-Token'),
    headers: z
      .array(z.tuple([text(256), z.string('must be a text').max(TOKEN_CHARACTERS_MAX)]))
      .max(200, 'may have 200 items')
      .describe('All headers of the call as name and value, for a signature over them (RFC 9421).')
      .optional(),
  })
  .describe('Proofs that came with the token; verified here, never logged.')

/** The proofs of a gateway's body; undefined without any. */
export function proofsOfFields(
  fields: z.infer<typeof proofsSchema> | undefined,
): Result<Proofs | undefined, Malformed> {
  if (fields === undefined) return success(undefined)
  const call = fields.call && callOf(fields.call)
  if (call !== undefined && !call.ok) return call
  const { certificate } = fields
  return success({
    ...(call !== undefined && { call: call.value }),
    dpop: fields.dpop ?? NONE,
    certificates:
      certificate === undefined
        ? []
        : [
            {
              source: certificate.source,
              value: certificate.value,
              ...(certificate.chain !== undefined && { chain: certificate.chain }),
              ...(certificate.verified !== undefined && { verified: certificate.verified }),
            },
          ],
    workloadToken: fields.workload_token ?? NONE,
    workloadProof: fields.workload_proof ?? NONE,
    transactionToken: fields.transaction_token ?? NONE,
    ...(fields.headers !== undefined && {
      signedHeaders: fields.headers.map(([name, value]): readonly [string, string] => [
        name.toLowerCase(),
        value,
      ]),
    }),
  })
}

function callOf({
  method,
  path: target,
  host,
}: {
  readonly method: string
  readonly path: string
  readonly host?: string | undefined
}): Result<HttpCall, Malformed> {
  const path = readRawPath(target)
  if (!path.ok) return failed({ ...path.failure, message: `in \`proofs.call\`: ${path.failure.message}` })
  const query = target.slice(path.value.length)
  return success({ method, path: path.value, host: host?.toLowerCase(), ...(query !== '' && { query }) })
}
