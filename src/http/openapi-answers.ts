import { z } from 'zod'

const reason = z.object({
  code: z.string().meta({ description: 'Stable, machine-readable; see docs/reasons.md.' }),
  policy: z.string().optional().meta({ description: 'Policy that the reason came from.' }),
  message: z.string().optional(),
})

const obligation = z
  .looseObject({
    type: z.string().meta({ description: 'From the catalogue in docs/obligations.md.' }),
    policies: z.array(z.string()).meta({ description: 'Policies that asked for it.' }),
  })
  .meta({ description: 'What the gateway must do along with the answer, else treat it as deny.' })

const error = z.object({
  code: z.string().meta({ description: 'Stable, machine-readable.' }),
  message: z.string().meta({ description: 'What was wrong and where.' }),
})

const challenge = z
  .object({
    status: z.int().meta({ description: 'Status that the gateway answers its client with.' }),
    www_authenticate: z.string().meta({ description: 'Header that it sends along.' }),
    scheme: z.enum(['Bearer', 'DPoP']),
    error: z.string().optional(),
    scope: z.array(z.string()).optional().meta({ description: 'All scopes that the call needs.' }),
    acr_values: z.array(z.string()).optional(),
    max_age: z.int().optional(),
    algs: z.array(z.string()).optional(),
    nonce: z.string().optional().meta({ description: 'For the header DPoP-Nonce.' }),
    resource_metadata: z.url().optional(),
  })
  .meta({ description: 'What a client must bring to be answered otherwise.' })

/** Answer of `POST /v1/decide`. */
export const decideAnswer = z
  .object({
    decision: z.enum(['allow', 'deny']),
    reasons: z.array(reason).meta({ description: 'The first one decided.' }),
    obligations: z.array(obligation),
    advice: z.array(z.object({ text: z.string(), policy: z.string() })),
    decision_id: z.string().meta({ description: 'Equals the header X-Decision-Id and the log field.' }),
    release: z.string().nullable().meta({ description: 'Content address of the policies that decided.' }),
    expires_at: z.iso.datetime().nullable().meta({ description: 'Until when an allow may be used.' }),
    revocation_epoch: z
      .int()
      .optional()
      .meta({ description: 'On an allow: what was revoked up to this state version is heeded in it.' }),
    challenge: challenge.optional(),
    dpop_nonce: z.string().optional().meta({ description: 'For the header DPoP-Nonce, on allow and deny.' }),
    retry_after: z.number().optional().meta({ description: 'Seconds after which asking again can help.' }),
  })
  .meta({ id: 'DecideAnswer' })

const told = z.array(z.object({ code: z.string(), message: z.string() }))

/** Answer of `POST /v1/explain`. */
export const explainAnswer = z
  .object({
    decision: z
      .object({ effect: z.enum(['allow', 'deny']), decision_id: z.string(), release: z.string().nullable() })
      .meta({
        description: 'What was decided. Never an answer to act on: nothing obliges and nothing expires.',
      }),
    explanation: z.object({
      text: z.string(),
      reasons: told.meta({ description: 'Codes of docs/reasons.md, without the policies behind them.' }),
      remedies: told.meta({ description: 'What can help; empty when nothing does.' }),
    }),
  })
  .meta({ id: 'ExplainAnswer' })

/** Answer of `POST /v1/mcp/filter`. */
export const mcpFilterAnswer = decideAnswer
  .extend({
    result: z
      .looseObject({})
      .meta({ description: 'The list result without what this caller could not use.' }),
    hidden: z.int().meta({ description: 'How many entries were left out.' }),
  })
  .meta({ id: 'McpFilterAnswer' })

/** An error in the native dialect; also what a broken batch item gets. */
export const errorAnswer = z.object({ decision: z.literal('deny'), error }).meta({ id: 'Error' })

/** Answer of `POST /v1/decide/batch`. */
export const batchAnswer = z
  .object({ decisions: z.array(z.union([decideAnswer, errorAnswer])) })
  .meta({ id: 'DecideBatchAnswer', description: 'In the order of the requests.' })

const authzenObligation = z.array(
  z.object({ id: z.string(), type: z.string(), properties: z.looseObject({}) }),
)

/** Answer of `POST /access/v1/evaluation`. */
export const evaluationAnswer = z
  .object({
    decision: z.boolean(),
    context: z
      .object({
        obligations: authzenObligation.optional(),
        challenge: challenge.optional(),
        error: z.object({ status: z.literal(400), message: z.string() }).optional(),
      })
      .optional(),
  })
  .meta({ id: 'EvaluationAnswer' })

/** Answer of `POST /access/v1/evaluations` when it has items; without items it is an EvaluationAnswer. */
export const evaluationsAnswer = z
  .object({ evaluations: z.array(evaluationAnswer) })
  .meta({ id: 'EvaluationsAnswer', description: 'Ends early where the semantic says so.' })

/** Answer of `POST /access/v1/search/subject`, `/resource` and `/action`. */
export const searchAnswer = z
  .object({
    page: z
      .object({
        next_token: z.string().meta({ description: 'For the next page; empty when there is none.' }),
        count: z.int().meta({ description: 'Results in this answer.' }),
      })
      .optional()
      .meta({ description: 'There when something may follow, or a page was asked for.' }),
    context: z.object({ challenge }).optional(),
    results: z
      .array(
        z.object({
          type: z.string().optional().meta({ description: 'Of a subject or resource.' }),
          id: z.string().optional().meta({ description: 'Of a subject or resource.' }),
          name: z.string().optional().meta({ description: 'Of an action.' }),
          obligations: authzenObligation.optional().meta({
            description: 'What the gateway must do where it acts on this result, else leave it out.',
          }),
        }),
      )
      .meta({ description: 'In the order of their ids. An empty page with a token is not the end.' }),
  })
  .meta({ id: 'SearchAnswer' })
