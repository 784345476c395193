import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { type PollSource, parsePollSource } from './poll-source.ts'
import type { StreamManagement } from './transmitter-client.ts'

/** A stream of security events that one tenant receives, and how far its transmitter is believed. */
export interface SignalStream {
  /** Part of the push URL (UUID). */
  readonly id: string
  readonly tenant: TenantId
  readonly name: string
  /** Issuer, keys, algorithms and our audience. */
  readonly issuer: Issuer
  /**
   * Issuers whose subjects it may affect. INVARIANT: by default its own alone, so that one identity provider can't stop what
   * another one vouches for.
   */
  readonly subjectIssuers: readonly string[]
  /** Whether it may stop more than one subject by one event, such as the whole tenant. Default false. */
  readonly wide: boolean
  /** Where its events are fetched; undefined: they are pushed. */
  readonly source?: PollSource | undefined
  /** How it is managed at its transmitter; undefined: it was set up there by hand. */
  readonly management?: StreamManagement | undefined
}

/** What a stream is made of beside its name. */
export type StreamRecord = Pick<SignalStream, 'issuer' | 'subjectIssuers' | 'wide' | 'source' | 'management'>

const MEMBERS = new Set([
  'issuer',
  'audience',
  'jwks_uri',
  'jwks',
  'algorithms',
  'private_network',
  'subject_issuers',
  'wide',
  'poll',
])
const ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'EdDSA',
  'Ed25519',
]

/** Reads the file of `warder signal add`; the failure says what is wrong, with the name of the member. */
export function parseStream(value: unknown): Result<StreamRecord, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return failed('must be a JSON object')
  const record: { readonly [name: string]: unknown } = { ...value }
  const unknown = Object.keys(record).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) return failed(`\`${unknown.slice(0, 64)}\` is not a member`)
  const { issuer, jwks_uri: url, private_network: privateNetwork = false, wide = false } = record
  if (typeof issuer !== 'string' || !URL.canParse(issuer)) return failed('`issuer` must be a URL')
  const audience = listOf(record['audience'])
  if (audience === undefined) return failed('`audience` must be a text or a list of texts')
  const algorithms = listOf(record['algorithms'] ?? ['RS256', 'ES256', 'EdDSA'])
  if (algorithms?.every((name) => ALGORITHMS.includes(name)) !== true)
    return failed(`\`algorithms\` may name ${ALGORITHMS.join(', ')}`)
  const subjectIssuers = listOf(record['subject_issuers'] ?? [issuer])
  if (subjectIssuers === undefined) return failed('`subject_issuers` must be a list of issuers')
  if (typeof privateNetwork !== 'boolean' || typeof wide !== 'boolean')
    return failed('`private_network` and `wide` must be true or false')
  const keys = keysOf(url, record['jwks'])
  if (keys === undefined) return failed('exactly one of `jwks_uri` and `jwks` must say where the keys are')
  const source = parsePollSource(record['poll'])
  if (!source.ok) return source
  const trust: Issuer = {
    issuer,
    audience,
    algorithms,
    types: ['secevent+jwt'],
    keys,
    claims: { tenant: undefined, agent: undefined, user: 'sub' },
    clockToleranceSeconds: 30,
    lifetimeSecondsMax: 1,
    privateNetwork,
  }
  return success({ issuer: trust, subjectIssuers, wide, ...source.value })
}

function keysOf(url: unknown, jwks: unknown): Issuer['keys'] | undefined {
  if ((url === undefined) === (jwks === undefined)) return undefined
  if (url !== undefined)
    return typeof url === 'string' && URL.canParse(url) ? { kind: 'remote', url } : undefined
  const keys: unknown = typeof jwks === 'object' && jwks !== null && 'keys' in jwks ? jwks.keys : undefined
  if (!Array.isArray(keys) || keys.length === 0) return undefined
  const isEach = keys.every((key: unknown) => typeof key === 'object' && key !== null)
  return isEach ? { kind: 'static', keys: keys.map((key: object) => ({ ...key })) } : undefined
}

function listOf(value: unknown): readonly string[] | undefined {
  const names: readonly unknown[] = Array.isArray(value) ? value : [value]
  const texts = names.filter((name) => typeof name === 'string' && name !== '')
  return names.length > 0 && texts.length === names.length ? texts.map(String) : undefined
}
