import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { ClaimMapping, Issuer, IssuerKeys } from '#model/issuer.ts'
import { normalizeType } from './jwt-format.ts'
import { ALGORITHMS, parseKeySet } from './key-set.ts'
import { isLoopbackHost } from './loopback.ts'

/** One thing wrong with an issuer file. `path` is dotted; empty for the document itself. */
export interface IssuerProblem {
  readonly path: string
  readonly message: string
}

type Fields = { readonly [name: string]: unknown }
type Report = (path: string, message: string) => undefined

const FIELDS = [
  'issuer',
  'audience',
  'algorithms',
  'types',
  'jwks',
  'jwks_uri',
  'claims',
  'clock_tolerance_seconds',
  'lifetime_seconds_max',
]
const ALGORITHMS_DEFAULT = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']
const CLAIM_PATH = /^[^\p{Cc}]{1,200}$/u

/**
 * The issuer that an `issuer add` file describes, or every problem in it.
 *
 * `audience` has no default: a token for anyone would be a token for everyone. `algorithms` defaults to ES256, RS256,
 * PS256, EdDSA and Ed25519; `none` and HMAC can't be named. `types` defaults to `at+jwt` (RFC 9068).
 */
export function parseIssuer(json: unknown): Result<Issuer, readonly IssuerProblem[]> {
  const problems: IssuerProblem[] = []
  const report: Report = (path, message) => void problems.push({ path, message })
  if (!isFields(json)) return failed([{ path: '', message: 'must be a JSON object' }])
  refuseUnknown(json, FIELDS, '', report)
  const issuer = readText(json['issuer'], 'issuer', report)
  const audience = readTexts(json['audience'], 'audience', report)
  const algorithms = readAlgorithms(json['algorithms'], report)
  const types = (readTexts(json['types'] ?? ['at+jwt'], 'types', report) ?? []).map(normalizeType)
  const keys = readKeys(json, report)
  const claims = readClaims(json['claims'] ?? {}, report)
  const tolerance = readNumber(json, 'clock_tolerance_seconds', [0, 300], 30, report)
  const lifetime = readNumber(json, 'lifetime_seconds_max', [1, 86_400], 3_600, report)
  if (problems.length > 0 || !issuer || !audience || !keys) return failed(problems)
  return success({
    issuer,
    audience,
    algorithms,
    types,
    keys,
    claims,
    clockToleranceSeconds: tolerance,
    lifetimeSecondsMax: lifetime,
  })
}

function readKeys(json: Fields, report: Report): IssuerKeys | undefined {
  const { jwks, jwks_uri: url } = json
  if ((jwks === undefined) === (url === undefined))
    return report('jwks', 'give either `jwks` (a key set) or `jwks_uri` (its https URL)')
  if (jwks === undefined) return readUrl(url, report)
  const parsed = parseKeySet(jwks)
  if (!parsed.ok) return report('jwks', parsed.failure)
  return { kind: 'static', keys: keysOf(jwks) }
}

function keysOf(jwks: unknown): readonly Fields[] {
  const keys = isFields(jwks) ? jwks['keys'] : undefined
  return Array.isArray(keys) ? keys.filter(isFields) : []
}

function readUrl(url: unknown, report: Report): IssuerKeys | undefined {
  const parsed = typeof url === 'string' ? URL.parse(url) : null
  if (parsed === null) return report('jwks_uri', 'must be a URL')
  if (parsed.username !== '' || parsed.password !== '' || parsed.hash !== '')
    return report('jwks_uri', 'must have neither credentials nor a fragment')
  const isSafe =
    parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isLoopbackHost(parsed.hostname))
  return isSafe ? { kind: 'remote', url: parsed.href } : report('jwks_uri', 'must be an https URL')
}

function readAlgorithms(value: unknown, report: Report): readonly string[] {
  const names = readTexts(value ?? ALGORITHMS_DEFAULT, 'algorithms', report) ?? []
  const refused = names.filter((name) => !ALGORITHMS.has(name))
  if (refused.length > 0)
    report(
      'algorithms',
      `can not be accepted: \`${refused.join('`, `')}\`; choose from ${[...ALGORITHMS.keys()].join(', ')}`,
    )
  return names
}

function readClaims(value: unknown, report: Report): ClaimMapping {
  const mapping: ClaimMapping = { tenant: undefined, agent: undefined, user: 'sub' }
  if (!isFields(value)) return report('claims', 'must be an object') ?? mapping
  refuseUnknown(value, ['tenant', 'agent', 'user'], 'claims.', report)
  const read = (name: string) =>
    value[name] === undefined ? undefined : readText(value[name], `claims.${name}`, report)
  return { tenant: read('tenant'), agent: read('agent'), user: read('user') ?? 'sub' }
}

function readText(value: unknown, path: string, report: Report): string | undefined {
  if (value === undefined) return report(path, 'is required')
  if (typeof value === 'string' && CLAIM_PATH.test(value)) return value
  return report(path, 'must be a string of 1 to 200 printable characters')
}

function readTexts(value: unknown, path: string, report: Report): readonly string[] | undefined {
  if (value === undefined) return report(path, 'is required')
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) return report(path, 'must not be empty')
  const texts = list.map((item, i) => readText(item, Array.isArray(value) ? `${path}[${i}]` : path, report))
  return texts.filter((text) => text !== undefined)
}

function readNumber(
  json: Fields,
  path: string,
  [min, max]: readonly [number, number],
  fallback: number,
  report: Report,
): number {
  const value = json[path] ?? fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  return report(path, `must be a whole number from ${min} to ${max}`) ?? fallback
}

function refuseUnknown(fields: Fields, known: readonly string[], prefix: string, report: Report): void {
  for (const name of Object.keys(fields))
    if (!known.includes(name)) {
      const near = nearest(name, known)
      report(
        `${prefix}${name}`,
        near === undefined ? 'unknown field' : `unknown field; did you mean \`${near}\`?`,
      )
    }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
