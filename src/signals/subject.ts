import { failed, type Result, success } from '#lib/result.ts'
import type { Dependency } from '#model/revocation.ts'
import type { Json, JsonObject } from '#model/value.ts'
import type { SignalStream } from './stream.ts'

/** What an event is about, in the words of revocations. */
export interface Subject {
  readonly targets: readonly Dependency[]
  /** Whether it can hit more than one user, agent, session or token. */
  readonly isWide: boolean
}

/** Why an event is not acted upon; codes of RFC 8935 section 2.4. */
export interface Refusal {
  readonly err: 'invalid_request' | 'access_denied' | 'invalid_state'
  readonly description: string
}

const ALIASES_MAX = 10
/** Members of a complex subject, the narrowest first; one that is there is enough, for a revocation may be too wide only. */
const COMPLEX = ['session', 'user', 'application', 'tenant'] as const
const COMPLEX_KNOWN = new Set<string>([...COMPLEX, 'format', 'device', 'group', 'org_unit', 'critical'])

/**
 * Reads a subject identifier (RFC 9493, complex ones as SSF 1.0 section 3): `iss_sub`, `email`, `opaque`, `jwt_id`, `account`,
 * `uri`, `did`, `phone_number`, `aliases`, and complex.
 *
 * INVARIANT: a transmitter only names subjects of the issuers that its stream is registered for.
 */
export function readSubject(subject: JsonObject, stream: SignalStream): Result<Subject, Refusal> {
  const format = subject['format'] ?? (COMPLEX.some((name) => name in subject) ? 'complex' : undefined)
  if (format === 'complex') return readComplex(subject, stream)
  if (format === 'aliases') return readAliases(subject['identifiers'], stream)
  if (format === 'iss_sub') return named(stream, subject['iss'], subject['sub'], 'subject')
  if (format === 'jwt_id') return named(stream, subject['iss'], subject['jti'], 'token')
  if (format === 'opaque') return sessionOf(subject['id'], stream)
  const value = plainOf(format, subject)
  if (value === undefined) return refuse('invalid_request', 'the format of the subject is not known')
  // Whoever a gateway asserts by that name, and the same name at each issuer of the stream.
  const names = ['', ...stream.subjectIssuers].map((issuer) => `${issuer}|${value}`)
  const targets = names.map((id) => ({ kind: 'subject', id }) as const)
  const workload = value.startsWith('spiffe://') ? [{ kind: 'client', id: value } as const] : []
  return success({ targets: [...targets, ...workload], isWide: false })
}

/** A session, at each issuer that the stream may speak of: its name there says nothing of whose it is. */
function sessionOf(id: Json | undefined, stream: SignalStream): Result<Subject, Refusal> {
  if (typeof id !== 'string' || id === '' || id.length > 512)
    return refuse('invalid_request', 'the subject lacks its id')
  const targets = stream.subjectIssuers.map((issuer) => ({ kind: 'session', id: `${issuer}|${id}` }) as const)
  return success({ targets, isWide: false })
}

function plainOf(format: Json | undefined, subject: JsonObject): string | undefined {
  const member = { email: 'email', account: 'uri', uri: 'uri', did: 'url', phone_number: 'phone_number' }[
    String(format)
  ]
  const value = member === undefined ? undefined : subject[member]
  if (typeof value !== 'string' || value === '' || value.length > 512) return undefined
  return format === 'account' ? value.replace(/^acct:/, '') : value
}

function named(
  stream: SignalStream,
  issuer: Json | undefined,
  id: Json | undefined,
  kind: 'subject' | 'token',
): Result<Subject, Refusal> {
  if (typeof issuer !== 'string' || typeof id !== 'string' || id === '' || id.length > 512)
    return refuse('invalid_request', 'the subject lacks its issuer or id')
  if (!stream.subjectIssuers.includes(issuer))
    return refuse('access_denied', 'the subject belongs to an issuer that this stream may not speak of')
  return success({ targets: [{ kind, id: `${issuer}|${id}` }], isWide: false })
}

function readAliases(identifiers: Json | undefined, stream: SignalStream): Result<Subject, Refusal> {
  if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > ALIASES_MAX)
    return refuse('invalid_request', `\`identifiers\` must be a list of 1 to ${ALIASES_MAX}`)
  const targets: Dependency[] = []
  for (const each of identifiers as readonly Json[]) {
    if (!isObject(each) || each['format'] === 'aliases')
      return refuse('invalid_request', 'an alias is not a subject')
    const read = readSubject(each, stream)
    if (!read.ok) return read
    if (read.value.isWide) return refuse('invalid_request', 'an alias names more than one subject')
    targets.push(...read.value.targets)
  }
  return success({ targets, isWide: false })
}

/**
 * The members that are there apply together, absent ones are wildcards. The narrowest that we know decides: what it revokes
 * includes all that they mean together, never less.
 */
function readComplex(subject: JsonObject, stream: SignalStream): Result<Subject, Refusal> {
  const unknown = Object.keys(subject).find((name) => !COMPLEX_KNOWN.has(name))
  if (unknown !== undefined && isCritical(subject['critical'], unknown))
    return refuse('invalid_request', 'a critical member of the subject is not known')
  for (const name of COMPLEX) {
    const member = subject[name]
    if (member === undefined) continue
    if (!isObject(member)) return refuse('invalid_request', `\`${name}\` of the subject is not an object`)
    if (name === 'tenant') return success({ targets: [{ kind: 'tenant', id: stream.tenant }], isWide: true })
    if (name === 'application') return applicationOf(member)
    return readSubject(member, stream)
  }
  return refuse('invalid_request', 'the subject names no session, user, application or tenant')
}

/** All tokens of a client: as many users as it has. */
function applicationOf(member: JsonObject): Result<Subject, Refusal> {
  const id = member['id'] ?? member['sub'] ?? member['uri']
  if (typeof id !== 'string' || id === '') return refuse('invalid_request', 'the application has no id')
  return success({ targets: [{ kind: 'client', id }], isWide: true })
}

function isCritical(critical: Json | undefined, name: string): boolean {
  return Array.isArray(critical) && critical.includes(name)
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuse(err: Refusal['err'], description: string): Result<never, Refusal> {
  return failed({ err, description })
}
