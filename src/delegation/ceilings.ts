import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { DelegationGrant } from '#model/delegation.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { type Edge, edgesOf, grantsOf } from './edges.ts'
import { agentsOf, type Broken, type ChainFacts } from './rules.ts'
import { scopesNeeded } from './scopes-needed.ts'
import { namesTool } from './tool-pattern.ts'

/** Whether a call fits one of the RFC 9396 objects. */
export type FitsDetails = (details: readonly JsonObject[]) => boolean

/** The grants that a call rests on, by the steps of its chain; a step that nobody registered has none. */
export type GrantsByStep = readonly (readonly DelegationGrant[])[]

/**
 * Finds for every step of a chain the grants that cover this call. A step needs one where the tenant demands it, and where it
 * ever had one.
 *
 * @returns no entry for steps without a grant: nothing bounds them
 */
export function grantsForCall(
  facts: ChainFacts,
  fits: FitsDetails,
  now: EpochMilliseconds,
): Result<GrantsByStep, Broken> {
  const { identity, tenant, tool } = facts
  const needed = scopesNeeded(tenant.rules, tool, tenant.registry)
  const byStep: (readonly DelegationGrant[])[] = []
  for (const edge of edgesOf(identity)) {
    const inForce = grantsOf(edge, tenant.delegations, now)
    if (inForce.length === 0) {
      const isNeeded =
        (edge.isStep && tenant.rules?.grantsRequired === true) ||
        tenant.delegations?.isGoverned?.(edge.from, edge.to) === true
      if (isNeeded) return failed({ code: 'chain.grant', detail: `no grant in force ${stepText(edge)}` })
      continue
    }
    const covering = inForce.filter((grant) => coversCall(grant, tool, needed, fits))
    if (covering.length === 0)
      return failed({ code: 'chain.ceiling', detail: `outside of every grant ${stepText(edge)}` })
    byStep.push(covering)
  }
  return success(byStep)
}

function coversCall(
  { tools, scopes, authorizationDetails }: DelegationGrant,
  tool: string | undefined,
  needed: readonly string[],
  fits: FitsDetails,
): boolean {
  return (
    (tools === undefined || namesTool(tools, tool)) &&
    (scopes === undefined || needed.every((scope) => scopes.includes(scope))) &&
    (authorizationDetails === undefined || fits(authorizationDetails))
  )
}

/** Tools that the blueprint of any agent in the chain does not name are out of reach for all of it. */
export function ruleBlueprints({ identity, findAgent, tool }: ChainFacts): Broken | undefined {
  for (const id of agentsOf(identity)) {
    const found = findAgent(id)
    const blueprints = found?.entity.parents.filter(({ type }) => type === 'Warder::Blueprint') ?? []
    const beyond = blueprints.find((uid) => !allowsTool(found?.registry.find(uid)?.attrs['tools'], tool))
    if (beyond !== undefined)
      return {
        code: 'chain.ceiling',
        detail: `blueprint \`${beyond.id}\` of \`${id}\` does not name the tool`,
      }
  }
  return undefined
}

/** INVARIANT: a list that can't be read allows nothing. */
function allowsTool(tools: Json | undefined, tool: string | undefined): boolean {
  if (tools === undefined) return true
  return (
    Array.isArray(tools) &&
    namesTool(
      tools.filter((name) => typeof name === 'string'),
      tool,
    )
  )
}

/** Scopes within every step's grants; the steps bound one after the other, so that each can only take away. */
export function narrowScopes(scopes: readonly string[], byStep: GrantsByStep): readonly string[] {
  return byStep.reduce((left, grants) => {
    if (grants.some((grant) => grant.scopes === undefined)) return left
    const granted = new Set(grants.flatMap((grant) => grant.scopes ?? []))
    return left.filter((scope) => granted.has(scope))
  }, scopes)
}

/** When the first step ends: the last of its grants. Infinity without any end. */
export function endOf(byStep: GrantsByStep): number {
  return Math.min(
    ...byStep.map((grants) =>
      Math.max(...grants.map(({ expiresAt }) => expiresAt ?? Number.POSITIVE_INFINITY)),
    ),
  )
}

function stepText({ from, to }: Edge): string {
  return `from ${from.kind} \`${from.id}\` to \`${to}\``
}
