import { z } from 'zod'
import type { JsonObject } from '#model/value.ts'
import { nativeRequestSchema } from './native-schema.ts'

/** Most items in one `evaluations` request. */
export const EVALUATIONS_MAX = 100

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const text = z.string('must be a text')
// Senders should leave null properties out, receivers will still see them: null counts as absent.
const object = (description: string) =>
  z.custom<JsonObject>(isObject, 'must be an object').meta({ type: 'object', description }).nullish()

const entity = z.object({ type: text, id: text, properties: object('Attributes of the entity.') })

const sought = z.object({ type: text, properties: object('Attributes of each candidate.') })

const page = z
  .object({
    token: text.nullish().meta({
      description: '`page.next_token` of the page before; the rest of the request stays as it was.',
    }),
    limit: z
      .int('must be a whole number')
      .nonnegative('must not be negative')
      .nullish()
      .meta({ description: 'Most results of one page. Default, and at most, 200.' }),
  })
  .nullish()

/** Warder's own extension of an AuthZEN context, strict like the native dialect. It never reaches policies as context. */
export const warderContextSchema = nativeRequestSchema
  .pick({
    tenant: true,
    arguments: true,
    task: true,
    session: true,
    risk: true,
    declared: true,
    credentials: true,
    proofs: true,
  })
  .strict()
  .meta({ id: 'WarderContext' })

/** Body of an Access Evaluation request (AuthZEN 1.0 section 6.1). Unknown fields are ignored. */
export const evaluationSchema = z
  .object({
    subject: entity.meta({ description: 'Who asks.' }),
    action: z.object({ name: text, properties: object('Attributes of the action.') }),
    resource: entity.meta({ description: 'What it is done to.' }),
    context: object('Facts about the environment; `warder` may hold our extension (WarderContext).'),
  })
  .meta({ id: 'EvaluationRequest' })

/** How a batch ends (AuthZEN 1.0 section 7.1.2.1). */
export const semanticSchema = z.enum(['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'])

/** Body of an Access Evaluations request (AuthZEN 1.0 section 7.1): defaults at the top, items in `evaluations`. */
export const evaluationsSchema = z
  .object({
    ...evaluationSchema.partial().shape,
    evaluations: z.array(evaluationSchema.partial()).max(EVALUATIONS_MAX).optional(),
    options: z.object({ evaluations_semantic: semanticSchema.optional() }).optional(),
  })
  .meta({ id: 'EvaluationsRequest' })

const searched = { ...evaluationSchema.shape, page }

/** Bodies of the three searches (AuthZEN 1.0 sections 8.4 to 8.6). What is looked for has no id; one that is there is ignored. */
export const searchSchemas = {
  subject: z
    .object({ ...searched, subject: sought.meta({ description: 'What kind of subject is looked for.' }) })
    .meta({ id: 'SubjectSearchRequest' }),
  resource: z
    .object({ ...searched, resource: sought.meta({ description: 'What kind of resource is looked for.' }) })
    .meta({ id: 'ResourceSearchRequest' }),
  action: z.object(searched).omit({ action: true }).meta({ id: 'ActionSearchRequest' }),
} as const

/** One evaluation after defaults, as it was read. */
export type Evaluation = z.infer<typeof evaluationSchema>

/** Warder's extension as it was read. */
export type WarderContext = z.infer<typeof warderContextSchema>
