import type { Gateway } from '#model/gateway.ts'
import type { Obligation, ObligationType } from '#model/obligation.ts'
import type { ObligationTemplate, PolicyRecord } from '#model/release.ts'
import { type Dialect, isJsonDialect } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { OBLIGATIONS } from './obligation-catalogue.ts'

/** What uniting the obligations of several policies gives: a list in deterministic order, or the type that contradicts. */
export type UnitedObligations =
  | { readonly ok: true; readonly obligations: readonly Obligation[] }
  | { readonly ok: false; readonly conflict: ObligationType }

/**
 * Unites the obligations of `policies` by the merge rule of each type (docs/obligations.md): equal ones become one,
 * `strictest` types keep the tightest bound per key, `conflict` types must not differ for the same name.
 * Order: type, then properties, both by code unit, so that equal inputs give equal answers (docs/architecture.md, invariant 9).
 */
export function uniteObligations(policies: readonly PolicyRecord[]): UnitedObligations {
  const groups = new Map<string, { template: ObligationTemplate; policies: Set<string> }>()
  for (const policy of policies) {
    for (const template of policy.obligations) {
      const key = mergeKey(template)
      const group = groups.get(key)
      if (group === undefined) {
        groups.set(key, { template, policies: new Set([policy.id]) })
        continue
      }
      const merged = merge(group.template, template)
      if (merged === undefined) return { ok: false, conflict: template.type }
      group.template = merged
      group.policies.add(policy.id)
    }
  }
  const obligations = [...groups.values()].map((group) => ({
    type: group.template.type,
    properties: group.template.properties,
    policies: [...group.policies].toSorted(),
  }))
  return { ok: true, obligations: obligations.toSorted((a, b) => compare(sortKey(a), sortKey(b))) }
}

/** Obligations that a header can carry to any gateway of the kind, or that Warder carries out itself. */
const HEADER_DIALECT_DEFAULT: ReadonlySet<string> = new Set([
  'set_header',
  'strip_authorization',
  'audit',
  'max_age',
])
const WARDER_ONLY: ReadonlySet<string> = new Set(['audit', 'max_age'])

/** Dialects whose gateways can do more or less than set and remove headers. */
const DIALECT_DEFAULTS: { readonly [dialect in Dialect]?: ReadonlySet<string> } = {
  // Whether a header is removed or overwritten hangs on the gateway's own list of names; one that forgets it lets the token pass.
  opa: new Set(['set_header', ...WARDER_ONLY]),
  // Its whole answer is yes or no.
  'docker-mcp': WARDER_ONLY,
}

/** Gateways of these put what an answer says in the place of the call's `Authorization`, so Warder can hand them a token. */
const REPLACES_AUTHORIZATION: ReadonlySet<Dialect> = new Set(['forward-auth', 'envoy-http', 'envoy-grpc'])

/**
 * Whether Warder can hand an exchanged token over. The JSON dialects get the obligation alone, because their answers are kept and
 * logged by whoever asked; those over OPA's API could leave the agent's own token in place.
 */
export function canReplaceAuthorization(dialect: Dialect): boolean {
  return REPLACES_AUTHORIZATION.has(dialect)
}

/**
 * First obligation that the asking gateway can't carry out, or undefined.
 * A gateway that registered no list can do everything in the JSON dialects (it must treat what it does not know as deny)
 * and what headers can say elsewhere; what a request itself lists narrows further (AuthZEN obligations profile).
 */
export function unsupportedObligation(
  obligations: readonly Obligation[],
  gateway: Gateway,
  dialect: Dialect,
  requested: readonly string[] | undefined,
): ObligationType | undefined {
  const byDialect = DIALECT_DEFAULTS[dialect] ?? HEADER_DIALECT_DEFAULT
  const registered = gateway.obligations ?? (isJsonDialect(dialect) ? undefined : byDialect)
  const known =
    requested === undefined ? undefined : new Set(requested.map((name) => WIRE_NAMES[name] ?? name))
  if (!isJsonDialect(dialect) && JSON.stringify(obligations).length > HEADER_CHARACTERS_MAX)
    return obligations[0]?.type
  const unsupported = obligations.find(
    ({ type }) =>
      OBLIGATIONS[type].executes === 'gateway' &&
      ((registered !== undefined && !registered.has(type)) || (known !== undefined && !known.has(type))),
  )
  return unsupported?.type
}

/** What fits into one response header together with the others: gateways buffer 4 KiB (nginx, proxy_buffer_size). */
const HEADER_CHARACTERS_MAX = 2_048

/** Names of the AuthZEN obligations profile that differ from ours. */
const WIRE_NAMES: Readonly<Record<string, string>> = { 'step-up': 'step_up', notification: 'notify' }

/** What lets a deny be turned into an allow later: shown on a deny only as an offer. */
export function isRemediation(template: { readonly type: ObligationType }): boolean {
  return template.type === 'step_up' || template.type === 'human_approval'
}

/** The parts of an obligation that name what it applies to; two with the same key must be merged. */
function mergeKey({ type, properties }: ObligationTemplate): string {
  if (type === 'set_header') return key(type, String(properties['name']).toLowerCase())
  if (type === 'rate_limit') return key(type, properties['key'] ?? null, properties['window_seconds'] ?? null)
  return OBLIGATIONS[type].merge === 'union' ? key(type, canonical(properties)) : key(type)
}

function merge(first: ObligationTemplate, second: ObligationTemplate): ObligationTemplate | undefined {
  if (canonical(first.properties) === canonical(second.properties)) return first
  if (first.type === 'rate_limit') return smaller(first, second, 'limit')
  if (first.type === 'max_age') return smaller(first, second, 'seconds')
  if (first.type === 'audit') return louder(first) >= louder(second) ? first : second
  return undefined
}

function smaller(first: ObligationTemplate, second: ObligationTemplate, name: string): ObligationTemplate {
  return Number(second.properties[name]) < Number(first.properties[name]) ? second : first
}

const AUDIT_LEVELS = ['info', 'warning', 'critical']

function louder({ properties }: ObligationTemplate): number {
  return AUDIT_LEVELS.indexOf(String(properties['level']))
}

function sortKey(obligation: Obligation): string {
  return key(obligation.type, canonical(obligation.properties))
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** Unambiguous key: JSON quotes each part. */
function key(...parts: readonly Json[]): string {
  return JSON.stringify(parts)
}

/** JSON with sorted members, so that equal properties compare equal. */
function canonical(properties: JsonObject): string {
  return JSON.stringify(properties, (_name, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => compare(a, b)))
  })
}
