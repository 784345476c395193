import { AMOUNT_MAX, type Scenario } from '../scenario.ts'
import { documentFacts, folderGrants, MIXED_REQUESTS, toolFacts, toolsOf } from './facts.ts'

/** A tenant's policies as files of Cerbos, and the calls that decide a request. */
export interface CerbosTenant {
  readonly files: readonly { readonly name: string; readonly text: string }[]
  readonly calls: number
  /** `CheckResources` in JSON, one for each principal. */
  bodies(number: number): readonly string[]
}

/**
 * One resource policy for each folder or tool, since Cerbos finds policies by the kind of a resource: with all rules in
 * one policy it would try every one. The four forbids of `one-query` are repeated in each.
 */
export function cerbosTenant(scenario: Scenario): CerbosTenant {
  return scenario.kind === 'one-query' ? documents(scenario) : tools(scenario)
}

function documents(scenario: Scenario): CerbosTenant {
  const facts = documentFacts(scenario)
  return {
    files: folderGrants(scenario).map(({ folder, group }) =>
      resourcePolicy(folder, [
        deny(['edit', 'share'], 'R.attr.archived'),
        deny(['*'], 'R.attr.sensitivity > P.attr.clearance'),
        deny(['*'], 'R.attr.network == "unknown"'),
        deny(['share'], '!(R.attr.ownerDepartment == P.attr.department || R.attr.mfa)'),
        ...['read', 'edit'].map((action) =>
          allow(action, group, 'R.attr.hour >= 6 && (R.attr.sensitivity < 3 || P.attr.clearance > 2)'),
        ),
      ]),
    ),
    calls: 1,
    bodies: kept((number) => {
      const { principal, action, resource, context } = facts(number)
      const { id, group, ...attr } = principal
      const { id: document, folder, ...about } = resource
      return [check({ id, roles: [group], attr }, action, folder, document, { ...about, ...context })]
    }),
  }
}

function tools(scenario: Scenario): CerbosTenant {
  const facts = toolFacts(scenario)
  const groups = ['agents', 'users'].flatMap((party) => Array.from({ length: 5 }, (_, i) => `${party}-${i}`))
  const condition = `R.attr.amount <= ${AMOUNT_MAX} && R.attr.risk < 70`
  return {
    files: toolsOf(scenario).map((tool) =>
      resourcePolicy(
        tool,
        groups.map((group) => allow('call', group, condition)),
      ),
    ),
    calls: 2,
    bodies: kept((number) => {
      const { tool, agent, user, arguments: args, risk } = facts(number)
      return [agent, user].map(({ id, group }) =>
        check({ id, roles: [group], attr: {} }, 'call', tool, `call-${number}`, {
          ...args,
          risk: risk.score,
        }),
      )
    }),
  }
}

function resourcePolicy(resource: string, rules: readonly object[]): CerbosTenant['files'][number] {
  return {
    name: `${resource.replace('/', '-')}.json`,
    text: JSON.stringify({
      apiVersion: 'api.cerbos.dev/v1',
      resourcePolicy: { resource, version: 'default', rules },
    }),
  }
}

function allow(action: string, role: string, condition: string): object {
  return rule([action], 'EFFECT_ALLOW', role, condition)
}

function deny(actions: readonly string[], condition: string): object {
  return rule(actions, 'EFFECT_DENY', '*', condition)
}

function rule(actions: readonly string[], effect: string, role: string, expr: string): object {
  return { actions, effect, roles: [role], condition: { match: { expr } } }
}

function check(principal: object, action: string, kind: string, id: string, attr: object): string {
  return JSON.stringify({
    requestId: 'bench',
    principal,
    resources: [{ actions: [action], resource: { kind, id, attr } }],
  })
}

/** The mixed traffic, encoded once: it comes again from the start after its last request. */
export function kept<Bodies>(make: (number: number) => Bodies): (number: number) => Bodies {
  const made = new Map<number, Bodies>()
  return (number) => {
    const place = number % MIXED_REQUESTS
    const bodies = made.get(place) ?? make(place)
    made.set(place, bodies)
    return bodies
  }
}
