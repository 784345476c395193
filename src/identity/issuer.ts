import { failed, type Result, success } from '#lib/result.ts'
import type { ClaimMapping, ClaimType, Issuer, IssuerKeys, IssuerProfile } from '#model/issuer.ts'
import { readClients } from './issuer-clients.ts'
import {
  type Fields,
  type IssuerProblem,
  isFields,
  type Report,
  readFlag,
  readNumber,
  readStatusLists,
  readText,
  readTexts,
  readUrl,
  refuseUnknown,
} from './issuer-fields.ts'
import { normalizeType } from './jwt-format.ts'
import { ALGORITHMS, parseKeySet } from './key-set.ts'
import { PROFILES, type Profile } from './profiles.ts'
import { spiffeDomainOf } from './spiffe-id.ts'

const FIELDS = [
  'issuer',
  'profile',
  'audience',
  'audiences_max',
  'algorithms',
  'types',
  'required_claims',
  'jwks',
  'jwks_uri',
  'discovery',
  'introspection',
  'token_exchange',
  'private_network',
  'claims',
  'clock_tolerance_seconds',
  'lifetime_seconds_max',
  'age_seconds_max',
  'rotation',
  'status_lists',
  'client_metadata',
]
const CLAIMS = ['tenant', 'tenant_value', 'agent', 'user', 'actor', 'scope', 'id', 'session']
const CLAIM_TYPES: readonly string[] = ['string', 'number', 'boolean', 'strings', 'object']

/**
 * The issuer that an `issuer add` file describes, or every problem in it.
 *
 * `audience` has no default: a token for anyone would be a token for everyone. `none` and HMAC can't be named. What the
 * file does not say, its `profile` presets (default `rfc9068`); docs/identity.md lists all fields.
 */
export function parseIssuer(json: unknown): Result<Issuer, readonly IssuerProblem[]> {
  const problems: IssuerProblem[] = []
  const report: Report = (path, message) => void problems.push({ path, message })
  if (!isFields(json)) return failed([{ path: '', message: 'must be a JSON object' }])
  refuseUnknown(json, FIELDS, '', report)
  const name = readProfile(json['profile'], report)
  const profile = PROFILES[name]
  const issuer = readIssuer(json['issuer'], name, report)
  const audience = readTexts(json['audience'], 'audience', report)
  const presets = readPresets(json, profile, report)
  const keys = readKeys(json, issuer ?? '', profile, report)
  const claims = readClaims(json['claims'] ?? {}, profile, report)
  const limits = readLimits(json, report)
  const clients = readClients(json, name, report)
  const clientMetadata = readFlag(json, 'client_metadata', report)
  const statusLists = readStatusLists(json['status_lists'], report)
  if (problems.length > 0 || !issuer || !audience || !keys) return failed(problems)
  return success({
    issuer,
    audience,
    ...presets,
    keys,
    claims,
    ...(json['profile'] !== undefined && { profile: name }),
    ...limits,
    ...clients,
    ...(json['private_network'] === true && { privateNetwork: true }),
    ...(json['rotation'] === true && { rotation: true }),
    ...(statusLists !== undefined && { statusLists }),
    ...(clientMetadata && { clientMetadata }),
  })
}

function readProfile(value: unknown, report: Report): IssuerProfile {
  const names = Object.keys(PROFILES)
  const found = names.find((name): name is IssuerProfile => name === value)
  if (value !== undefined && found === undefined) report('profile', `must be one of ${names.join(', ')}`)
  return found ?? 'rfc9068'
}

function readIssuer(value: unknown, profile: IssuerProfile, report: Report): string | undefined {
  const issuer = readText(value, 'issuer', report)
  // INVARIANT: nobody who signs tokens passes for Warder itself.
  if (issuer?.startsWith('urn:warder:')) return report('issuer', 'is a name that Warder gives')
  if (issuer === undefined || profile !== 'spiffe') return issuer
  const domain = spiffeDomainOf(issuer)
  return issuer === `spiffe://${domain}`
    ? issuer
    : report('issuer', 'must be the id of a trust domain, such as `spiffe://example.org`')
}

type Presets = Pick<Issuer, 'algorithms' | 'types' | 'clockToleranceSeconds' | 'lifetimeSecondsMax'> & {
  readonly required?: Issuer['required'] & {}
}

function readPresets(json: Fields, profile: Profile, report: Report): Presets {
  const types = json['types'] === undefined ? profile.types : readTypes(json['types'], report)
  const required = readRequired(json['required_claims'], profile, report)
  return {
    algorithms: readAlgorithms(json['algorithms'], profile, report),
    types: types.map(normalizeType),
    ...(Object.keys(required).length > 0 && { required }),
    clockToleranceSeconds: readNumber(json, 'clock_tolerance_seconds', [0, 300], report) ?? 30,
    lifetimeSecondsMax:
      readNumber(json, 'lifetime_seconds_max', [1, 86_400], report) ?? profile.lifetimeSecondsMax,
  }
}

/** Like other lists of texts, but `""` stands for a header without `typ`. */
function readTypes(value: unknown, report: Report): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const named = list.filter((type) => type !== '')
  const texts = named.length === 0 && list.length > 0 ? [] : (readTexts(named, 'types', report) ?? [])
  return named.length < list.length ? ['', ...texts] : texts
}

function readRequired(value: unknown, profile: Profile, report: Report): { [claim: string]: ClaimType } {
  if (value === undefined) return { ...profile.required }
  if (!isFields(value)) return report('required_claims', 'must be an object of claims and their types') ?? {}
  const required: { [claim: string]: ClaimType } = {}
  for (const [claim, type] of Object.entries(value)) {
    if (isClaimType(type)) required[claim] = type
    else report(`required_claims.${claim}`, `must be one of ${CLAIM_TYPES.join(', ')}`)
  }
  return required
}

function isClaimType(type: unknown): type is ClaimType {
  return typeof type === 'string' && CLAIM_TYPES.includes(type)
}

function readAlgorithms(value: unknown, profile: Profile, report: Report): readonly string[] {
  const names = readTexts(value ?? profile.algorithms, 'algorithms', report) ?? []
  const refused = names.filter((name) => !ALGORITHMS.has(name))
  if (refused.length > 0)
    report(
      'algorithms',
      `can not be accepted: \`${refused.join('`, `')}\`; choose from ${[...ALGORITHMS.keys()].join(', ')}`,
    )
  return names
}

function readLimits(json: Fields, report: Report): Pick<Issuer, 'ageSecondsMax' | 'audiencesMax'> {
  const age = readNumber(json, 'age_seconds_max', [1, 86_400], report)
  const audiences = readNumber(json, 'audiences_max', [1, 10], report)
  readFlag(json, 'private_network', report)
  readFlag(json, 'rotation', report)
  return {
    ...(age !== undefined && { ageSecondsMax: age }),
    ...(audiences !== undefined && { audiencesMax: audiences }),
  }
}

function readKeys(json: Fields, issuer: string, profile: Profile, report: Report): IssuerKeys | undefined {
  const { jwks, jwks_uri: url, introspection } = json
  const isDiscovered = readFlag(json, 'discovery', report)
  const given = [jwks !== undefined, url !== undefined, isDiscovered].filter(Boolean).length
  // Opaque tokens are asked about; without keys no JWT of this issuer can be verified.
  if (given === 0 && introspection !== undefined) return { kind: 'static', keys: [] }
  if (given !== 1)
    return report('jwks', 'give either `jwks` (a key set), `jwks_uri` (its https URL) or `"discovery": true`')
  if (isDiscovered) return readDiscovery(issuer, report)
  if (url !== undefined) {
    const read = readUrl(url, 'jwks_uri', report)
    return read === undefined ? undefined : { kind: 'remote', url: read }
  }
  const parsed = parseKeySet(jwks, profile.keyUse, profile.emptySetRevokes)
  if (!parsed.ok) return report('jwks', parsed.failure)
  const keys = isFields(jwks) ? jwks['keys'] : undefined
  return { kind: 'static', keys: Array.isArray(keys) ? keys.filter(isFields) : [] }
}

/** OpenID Connect Discovery section 4: the well-known path comes after the whole issuer. */
function readDiscovery(issuer: string, report: Report): IssuerKeys | undefined {
  const base = readUrl(issuer, 'issuer', report)
  if (base === undefined) return undefined
  const path = '/.well-known/openid-configuration'
  return { kind: 'remote', url: `${base.replace(/\/$/, '')}${path}`, discovered: true }
}

function readClaims(value: unknown, profile: Profile, report: Report): ClaimMapping {
  const given = isFields(value) ? value : (report('claims', 'must be an object') ?? {})
  refuseUnknown(given, CLAIMS, 'claims.', report)
  const read = (name: string) =>
    given[name] === undefined ? undefined : readText(given[name], `claims.${name}`, report)
  const tenantValue = read('tenant_value')
  const more = (['actor', 'scope', 'id', 'session'] as const).flatMap((name) => {
    const claim = read(name) ?? profile.claims[name]
    return claim === undefined ? [] : [[name, claim] as const]
  })
  return {
    tenant: read('tenant') ?? profile.claims.tenant,
    ...(tenantValue !== undefined && { tenantValue }),
    agent: read('agent') ?? profile.claims.agent,
    user: read('user') ?? profile.claims.user ?? 'sub',
    ...Object.fromEntries(more),
  }
}
