import type { SignCapabilities } from '#identity/capabilities-signer.ts'
import { toSeconds } from '#lib/clock.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Candidate, Dialect } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { JudgePolicy } from '#policy/judge.ts'
import type { Caller } from './call.ts'
import { type Judged, stopped } from './judged.ts'
import { permittedOf } from './list.ts'

/** What signing lists takes; undefined: no allow carries one. */
export interface CapabilitySteps {
  readonly signCapabilities?: SignCapabilities
  /** Every tenant that is served: they share the key. Undefined: an allow that has to carry a list denies. */
  readonly tenants?: () => Iterable<Pick<TenantState, 'id' | 'registry'>>
  readonly judgePolicy: JudgePolicy
}

/** A registered tool of a server that the gateway lists. */
interface Offered {
  /** What the gateway calls the server. */
  readonly server: string
  readonly name: string
  readonly candidate: Candidate
}

/** Most tools that one list is made of, and most characters of the header: gateways take 16 KiB of headers and more. */
const TOOLS_MAX = 1_000
const HEADER_CHARACTERS_MAX = 12_288
const LIST = '/mcp:tools/list'
/** Those whose allows carry headers to the upstream. */
const DIALECTS: ReadonlySet<Dialect> = new Set(['envoy-http', 'envoy-grpc', 'forward-auth'])

/**
 * The tools that an allowed `tools/list` is to be reduced to by the gateway: those of all registered servers that have a name there
 * (`authorizedAs`). Undefined: the allow carries no list.
 */
export function capabilitiesToSign(
  { signCapabilities }: CapabilitySteps,
  { judgement, call }: Judged,
  { dialect, explain }: AuthorizationRequest,
  { tenant }: Pick<Caller, 'tenant'>,
): readonly Offered[] | undefined {
  if (signCapabilities === undefined || judgement.effect !== 'allow' || explain !== undefined)
    return undefined
  if (call?.protocol !== 'mcp' || call.tool?.endsWith(LIST) !== true || !DIALECTS.has(dialect))
    return undefined
  const names = namesOf(tenant)
  return names.size === 0 ? undefined : offeredBy(tenant, names)
}

/**
 * The allow with its signed list, or the deny that stands in its place.
 *
 * INVARIANT: an allow that has to carry a list leaves with it or not at all: without one, the gateway shows every tool. Nor is a list
 * signed that a gateway of another tenant could read as its own: the form has no place for a tenant, and the key is one.
 */
export async function signedCapabilities(
  steps: CapabilitySteps,
  caller: Caller,
  judged: Judged,
  offered: readonly Offered[],
  asked: AuthorizationRequest,
): Promise<Judged> {
  if (steps.signCapabilities === undefined || steps.tenants === undefined || offered.length > TOOLS_MAX)
    return unsigned(judged)
  const shared = sharedName(caller.tenant, steps.tenants())
  if (shared !== undefined)
    return unsigned(judged, `\`authorizedAs\` is also registered by another tenant: ${shared}`)
  // Each is a call of its own: of the list, only who asks and how it was proven is kept.
  const { original: _original, ...rest } = asked
  const asking: AuthorizationRequest = { ...rest, protocol: 'mcp', route: undefined }
  const permitted = await permittedOf(
    steps,
    caller,
    asking,
    offered.map(({ candidate }) => candidate),
  )
  const tools: Record<string, string[]> = Object.fromEntries(offered.map(({ server }) => [server, []]))
  for (const position of permitted) {
    const found = offered[position]
    if (found !== undefined) tools[found.server]?.push(found.name)
  }
  const header = await steps.signCapabilities(tools, toSeconds(asked.now))
  if (header.reveal().length > HEADER_CHARACTERS_MAX) return unsigned(judged)
  const { judgement } = judged
  const detail = `${permitted.length} of ${offered.length} tools are permitted`
  return {
    ...judged,
    judgement: { ...judgement, trace: { ...judgement.trace, detail } },
    capabilities: header,
  }
}

/** A name of a server that another tenant uses too. */
function sharedName(
  tenant: TenantState,
  tenants: Iterable<Pick<TenantState, 'id' | 'registry'>>,
): string | undefined {
  const own = new Set(namesOf(tenant).values())
  for (const other of tenants) {
    if (other.id === tenant.id) continue
    for (const name of namesOf(other).values()) if (own.has(name)) return name
  }
  return undefined
}

function namesOf({ registry }: Pick<TenantState, 'registry'>): ReadonlyMap<string, string> {
  const servers = registry.ofType('Warder::Server')
  return new Map(
    servers.flatMap(({ uid, attrs: { authorizedAs } }) =>
      typeof authorizedAs === 'string' ? [[uid.id, authorizedAs]] : [],
    ),
  )
}

function offeredBy({ registry }: Caller['tenant'], names: ReadonlyMap<string, string>): readonly Offered[] {
  return registry.ofType('Warder::Tool').flatMap(({ uid: { id } }) => {
    const slash = id.indexOf('/')
    const server = names.get(id.slice(0, Math.max(0, slash)))
    const name = id.slice(slash + 1)
    if (server === undefined || /^(?:mcp|a2a):/i.test(name)) return []
    return [{ server, name, candidate: { tool: id, arguments: {}, argumentsOpen: true } }]
  })
}

function unsigned(judged: Judged, detail?: string): Judged {
  const { judgement } = stopped({ code: 'list.unsigned', message: REASONS['list.unsigned'] })
  return {
    ...judged,
    judgement: { ...judgement, trace: { ...judged.judgement.trace, ...(detail && { detail }) } },
  }
}
