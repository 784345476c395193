import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { agentExplanation, outcomeJson, readOperatorQuestion } from '#gateways/explain.ts'
import { operatorExplanation } from '#gateways/operator-explanation.ts'
import type { Clock } from '#lib/clock.ts'
import type { Decider } from '#model/decider.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { Problem } from './problem.ts'
import type { At } from './route.ts'
import { anyObject, body, json, PROBLEMS, tenantParam } from './shapes.ts'

/** What explaining takes. */
export interface ExplainParts {
  readonly decider: Pick<Decider, 'decide'>
  readonly clock: Clock
}

const reason = z.object({ code: z.string(), policy: z.string().optional(), message: z.string().optional() })
const told = z.array(z.object({ code: z.string(), message: z.string() }))

const term = z.object({
  kind: z.enum(['when', 'unless']),
  value: z.enum(['true', 'false', 'error']),
  text: z.string().optional().openapi({ description: 'Source text of the term, at most 300 characters.' }),
  file: z.string().optional(),
  line: z.int().optional(),
})

const policy = z.object({
  id: z.string(),
  effect: z.enum(['permit', 'forbid']),
  file: z.string(),
  line: z.int(),
  outcome: z.enum(['satisfied', 'unsatisfied', 'errored', 'unknown']),
  near_miss: z
    .boolean()
    .openapi({ description: 'A permit that one or two terms kept from being satisfied.' }),
  terms: z.array(term).openapi({
    description: 'Of a near miss what failed, of a forbid that fired or errored everything; at most 20.',
  }),
  omitted_terms: z.int(),
})

const party = z.object({
  party: z.enum(['agent', 'user', 'subject']),
  declared: z.boolean().openapi({ description: 'Asked once more, with what the agent declared.' }),
  policies: z.array(policy).openapi({ description: 'Whose scope matched; at most 50.' }),
  omitted: z.int().openapi({ description: 'How many more matched.' }),
  incomplete: z.boolean().optional().openapi({ description: 'The policies could not be taken apart.' }),
})

const explanation = z
  .object({
    decision: z.object({
      effect: z.enum(['allow', 'deny']),
      decision_id: z.string(),
      release: z.string().nullable(),
    }),
    operator: z.object({ text: z.string(), reasons: z.array(reason), parties: z.array(party) }),
    agent: z
      .object({ text: z.string(), reasons: told, remedies: told })
      .openapi({ description: 'What `POST /v1/explain` of the decision listener tells.' }),
  })
  .openapi('Explanation')

/** Explanations for those who may read and write policies. */
export function explainRoutes(app: OpenAPIHono<AdminEnv>, at: At, { decider, clock }: ExplainParts): void {
  const route = createRoute({
    ...at('POST /v1/tenants/{tenant}/explain'),
    summary: 'Decide a question for its explanation: what matched, what nearly did',
    request: {
      params: tenantParam,
      body: body(
        anyObject.openapi({
          description:
            'As of `POST /v1/decide`, without `credentials` and `proofs`: the parties are taken at your word.',
        }),
      ),
    },
    responses: { ...PROBLEMS, 200: json(explanation, 'The decision, and why. It is in the decision log.') },
  })
  app.openapi(route, async (c) => {
    const read = readOperatorQuestion(
      {
        method: c.req.method,
        rawUrl: c.req.path,
        rawHeaders: [...c.req.raw.headers].flat(),
        body: new Uint8Array(await c.req.arrayBuffer()),
        peer: '',
      },
      clock(),
    )
    if (!read.ok) throw new Problem(400, read.failure.code, read.failure.message)
    const decision = await decider.decide(read.value, operatorOf(tenantOf(c)))
    const answer: object = {
      decision: outcomeJson(decision),
      operator: operatorExplanation(decision),
      agent: agentExplanation(decision),
    }
    return c.json(explanation.parse(answer), 200)
  })
}

/** Stands for a gateway with the defaults of its dialect. It has no key, so nobody can ask for decisions as it. */
function operatorOf(tenant: TenantId): Gateway {
  return {
    id: '00000000-0000-0000-0000-000000000000' as GatewayId,
    name: 'explain',
    tenant,
    asserts: undefined,
    userOnly: false,
    obligations: undefined,
  }
}
