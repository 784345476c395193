import { type RouteConfig, z } from '@hono/zod-openapi'
import { Problem } from './problem.ts'

const LIMIT_DEFAULT = 100
/** One more is read to see whether there is a next page. */
const LIMIT_MAX = 500

const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().openapi({ description: 'Stable, machine-readable.' }),
    help: z.string().optional(),
    errors: z.array(z.looseObject({})).optional().openapi({ description: 'Where in the body.' }),
  })
  .openapi('Problem', { description: 'RFC 9457.' })

const problemContent = { 'application/problem+json': { schema: problem } }

/** What every route may answer beside success. */
export const PROBLEMS = {
  400: { description: 'The request is wrong; nothing was changed.', content: problemContent },
  401: { description: 'No valid token.', content: problemContent },
  403: { description: 'The role of the token is too small.', content: problemContent },
  404: {
    description: 'There is no such thing, or the token may not see it: the same answer.',
    content: problemContent,
  },
  409: { description: 'The present state does not allow this.', content: problemContent },
  413: { description: 'The body is too large.', content: problemContent },
  415: { description: 'The body is not application/json.', content: problemContent },
  503: { description: 'Too much is going on; try again.', content: problemContent },
} satisfies RouteConfig['responses']

/** An object whose members this API only passes on. */
export const anyObject = z.record(z.string(), z.any())

/** A JSON answer. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

/** A JSON body, which has to be there. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { 'application/json': { schema } } }
}

/** Query parameters of a list. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT).openapi({
    description: 'Most items of one page.',
  }),
  after: z.string().max(4096).optional().openapi({ description: '`next` of the page before.' }),
})

/** One page of `item`. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().openapi({ description: 'Opaque; null on the last page.' }),
  })
}

/** Reads one page of a list that is ordered by `keyOf`. @throws {Problem} for an `after` that is none of ours */
export async function readPage<Row>(
  { limit, after }: { readonly limit: number; readonly after?: string | undefined },
  read: (page: { readonly limit: number; readonly after?: string }) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): Promise<{ items: Row[]; next: string | null }> {
  const key = after === undefined ? undefined : decoded(after)
  const rows = await read(key === undefined ? { limit: limit + 1 } : { limit: limit + 1, after: key })
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  const hasNext = rows.length > limit && last !== undefined
  return { items, next: hasNext ? Buffer.from(keyOf(last)).toString('base64url') : null }
}

function decoded(after: string): string {
  const bytes = Buffer.from(after, 'base64url')
  const key = bytes.toString()
  if (bytes.toString('base64url') === after && Buffer.from(key).equals(bytes)) return key
  throw pageUnknown()
}

/** The answer to an `after` that this API did not give. */
export function pageUnknown(): Problem {
  return new Problem(400, 'request.page_unknown', '`after` is not the `next` of a page')
}

/** Path parameter: the tenant. */
export const tenantParam = z.object({
  tenant: z.string().openapi({ description: 'Name of the tenant.', example: 'demo' }),
})

/** Path parameters: the tenant and a name in it. */
export const namedParam = tenantParam.extend({ name: z.string().max(200) })
