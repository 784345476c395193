import type { Caller } from '#decide-call.ts'
import { type Judged, stopped } from '#decide-judged.ts'
import { permittedOf } from '#decide-list.ts'
import type { SignCapabilities } from '#identity/capabilities-signer.ts'
import { toSeconds } from '#lib/clock.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Candidate, Dialect } from '#model/request.ts'
import type { JudgePolicy } from '#policy/judge.ts'

/** What signing lists takes; undefined: no allow carries one. */
export interface CapabilitySteps {
  readonly signCapabilities?: SignCapabilities
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
 * INVARIANT: an allow that has to carry a list leaves with it or not at all: without one, the gateway shows every tool.
 */
export async function signedCapabilities(
  steps: CapabilitySteps,
  caller: Caller,
  judged: Judged,
  offered: readonly Offered[],
  asked: AuthorizationRequest,
): Promise<Judged> {
  if (steps.signCapabilities === undefined || offered.length > TOOLS_MAX) return unsigned(judged)
  // Each is a call of its own: of the list, only who asks and how it was proven is kept.
  const { original: _original, ...rest } = asked
  const asking: AuthorizationRequest = { ...rest, protocol: 'mcp', route: undefined }
  const permitted = permittedOf(
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

function namesOf({ registry }: Caller['tenant']): ReadonlyMap<string, string> {
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

function unsigned(judged: Judged): Judged {
  const { judgement } = stopped({ code: 'list.unsigned', message: REASONS['list.unsigned'] })
  return { ...judged, judgement: { ...judgement, trace: judged.judgement.trace } }
}
