import type { Federation, FindAgent } from '#model/delegation.ts'
import type { Actor, ChainEvidence, VerifiedIdentity } from '#model/identity.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { TenantState } from '#model/state.ts'
import { mayNameActorsOf } from '#model/tenant-rules.ts'
import { namesOfTool } from './tool-names.ts'
import { namesTool } from './tool-pattern.ts'

/** Why a chain rule said no; the detail names the hop and goes to the log only. */
export interface Broken {
  readonly code: Extract<ReasonCode, `chain.${string}`>
  readonly detail: string
}

/** What the rules of one decision look at. */
export interface ChainFacts {
  readonly identity: VerifiedIdentity
  readonly tenant: TenantState
  readonly findAgent: FindAgent
  /** What is called; undefined where only an AuthZEN action says it. */
  readonly tool: string | undefined
}

const DEPTH_MAX = 4
const EVIDENCE: readonly ChainEvidence[] = ['none', 'declared', 'token', 'registered', 'proven', 'signed']

/** No more actors than the tenant accepts; a longer chain is refused, never cut (actor profile, delegation depth). */
export function ruleDepth({ identity, tenant }: ChainFacts): Broken | undefined {
  const depth = identity.delegation.chain.length
  const most = tenant.rules?.chainDepthMax ?? DEPTH_MAX
  return depth > most ? { code: 'chain.depth', detail: `${depth} actors, at most ${most}` } : undefined
}

/**
 * The token itself says who acts for its user, where the tenant demands it (actor profile, resource server processing).
 *
 * INVARIANT: neither leaving the token out nor naming an agent beside it helps; what its client is called is no actor.
 */
export function ruleActor({ identity, tenant, tool }: ChainFacts): Broken | undefined {
  const { actorRequired = [] } = tenant.rules ?? {}
  if (actorRequired.length === 0 || identity.user === undefined || identity.token?.namesActor === true)
    return undefined
  const names = namesOfTool(tool, tenant.registry)
  return actorRequired.some((name) => names.has(name))
    ? { code: 'chain.actor', detail: 'no actor in a token for a user' }
    : undefined
}

/** Nobody twice: neither among the actors, nor as the subject whom they act for. */
export function ruleCycle({ identity }: ChainFacts): Broken | undefined {
  const { delegation, token } = identity
  const seen = new Set<string>()
  for (const { id, issuer } of delegation.chain) {
    const isSubject = token !== undefined && issuer === token.issuer && id === token.subject
    // The issuer does not tell two apart: agents are registered by their id alone.
    if (seen.has(id) || isSubject) return { code: 'chain.cycle', detail: `\`${id}\` is named twice` }
    seen.add(id)
  }
  return undefined
}

/**
 * Whom the token's issuer may name, and the issuer that an agent is registered with.
 *
 * INVARIANT: of several issuers that could name an agent, only the one that it is registered with can. Else whoever runs one of them
 * could make himself the agents of all others. What counts is who signed: that an actor is another issuer's (`act.iss`) is believed
 * only of an issuer that the tenant lists that other one for.
 */
export function ruleIssuer({ identity, tenant, findAgent }: ChainFacts): Broken | undefined {
  const { token } = identity
  for (const { id, issuer } of namedBy(identity)) {
    if (issuer === undefined) continue
    if (token !== undefined && !mayNameActorsOf(issuer, token.issuer, tenant.rules))
      return { code: 'chain.issuer', detail: `\`${token.issuer}\` may not name actors of \`${issuer}\`` }
    const found = findAgent(id)
    const registered = found?.entity.attrs['issuer']
    if (registered !== undefined && registered !== issuer)
      return { code: 'chain.issuer', detail: `\`${id}\` of \`${issuer}\` is registered with another issuer` }
    if (found !== undefined && registered === undefined && isAmbiguous({ id, issuer }, identity, tenant))
      return {
        code: 'chain.issuer',
        detail: `\`${id}\` is registered without \`issuer\`, and several issuers of the tenant could name it`,
      }
  }
  return undefined
}

/** Actors with the issuer that names them; undefined where none does. The registry itself names the agent of an API key. */
function namedBy({ agent, delegation, token }: VerifiedIdentity): readonly Actor[] {
  if (agent === undefined || delegation.chain.length > 0) return delegation.chain
  return [{ id: agent.id, issuer: token?.kind === 'api-key' ? undefined : token?.issuer }]
}

/** Issuers whose tokens name no agent. */
const NAMES_NOBODY: readonly unknown[] = ['txn-token', 'http-signature']

/**
 * Whether more than one issuer could name an agent. A trust domain names what lies in it and nothing else, and nobody else speaks for
 * a workload that proves its own key.
 */
function isAmbiguous(
  { id, issuer }: Actor,
  { presenter }: VerifiedIdentity,
  { issuers }: TenantState,
): boolean {
  if (issuers.length < 2 || presenter?.workload === id || isWithin(id, issuer)) return false
  const naming = issuers.filter(
    ({ profile, issuer: each }) =>
      !NAMES_NOBODY.includes(profile) && (profile !== 'spiffe' || isWithin(id, each)),
  )
  return naming.length > 1
}

function isWithin(id: string, domain: string | undefined): boolean {
  return domain?.startsWith('spiffe://') === true && id.startsWith(`${domain}/`)
}

/** An agent of another tenant takes part only as a federation of both tenants says. */
export function ruleTenant({ identity, tenant, findAgent, tool }: ChainFacts): Broken | undefined {
  const role = identity.user === undefined && identity.delegation.chain.length === 0 ? 'subject' : 'actor'
  for (const id of agentsOf(identity)) {
    const found = findAgent(id)
    if (found === undefined || found.home === tenant.id) continue
    const why = (found.federations ?? []).map((federation) => outside(federation, role, tool))
    if (!why.includes(undefined))
      return { code: 'chain.tenant', detail: `\`${id}\` of \`${found.home}\`: ${why[0] ?? 'no federation'}` }
  }
  return undefined
}

function outside(
  { id, roles, tools }: Federation,
  role: 'subject' | 'actor',
  tool: string | undefined,
): string | undefined {
  if (!roles.includes(role)) return `federation \`${id}\` does not let it be the ${role}`
  return namesTool(tools, tool) ? undefined : `federation \`${id}\` does not name the tool`
}

/** The chain is proven as well as the tenant demands; who delegates nothing has nothing to prove. */
export function ruleEvidence({ identity, tenant }: ChainFacts): Broken | undefined {
  const least = tenant.rules?.chainEvidenceMin
  const { chain, evidence = 'declared', unsigned } = identity.delegation
  if (least === undefined || chain.length === 0) return undefined
  return EVIDENCE.indexOf(evidence) < EVIDENCE.indexOf(least)
    ? {
        code: 'chain.evidence',
        detail: `${evidence}, at least ${least}${unsigned === undefined ? '' : `; ${unsigned}`}`,
      }
    : undefined
}

/** Who takes part: whoever acts now and every actor before, each once. */
export function agentsOf({ agent, delegation }: VerifiedIdentity): readonly string[] {
  const ids = delegation.chain.map(({ id }) => id)
  return [...new Set(agent === undefined ? ids : [agent.id, ...ids])]
}
