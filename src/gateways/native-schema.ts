import { z } from 'zod'
import type { JsonObject } from '#model/value.ts'
import { ACTORS_MAX } from './claimed-chain.ts'
import { proofsSchema } from './proof-fields.ts'

/** Most items in one batch. */
export const BATCH_ITEMS_MAX = 100

const ID_LENGTH_MAX = 1024

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const object = (description: string): z.ZodType<JsonObject> =>
  z.custom<JsonObject>(isObject, 'must be an object').meta({ type: 'object', description })
const id = (description: string): z.ZodString =>
  z
    .string('must be a text')
    .min(1, 'must not be empty')
    .max(ID_LENGTH_MAX, `may have ${ID_LENGTH_MAX} characters`)
    .describe(description)
const text = (description: string, lengthMax: number): z.ZodString =>
  z.string('must be a text').max(lengthMax, `may have ${lengthMax} characters`).describe(description)
const score = (description: string): z.ZodInt =>
  z
    .int('must be an integer from 0 to 100')
    .min(0, 'must be an integer from 0 to 100')
    .max(100, 'must be an integer from 0 to 100')
    .describe(description)

const party = (description: string) =>
  z
    .union([
      id('The id alone.'),
      z.strictObject({
        id: id('The id.'),
        properties: object('Attributes; used only where the registry says nothing.').optional(),
      }),
    ])
    .describe(description)

/** One question in Warder's own dialect. An unknown field is an error: a misspelt one would silently not count. */
export const nativeRequestSchema = z
  .strictObject({
    agent: party('The software that acts.').optional(),
    user: party('On whose behalf; absent for an autonomous agent.').optional(),
    actors: z
      .array(
        z.union([
          id('The id alone.'),
          z.strictObject({ id: id('The id.'), issuer: id('Issuer in whose namespace it is.').optional() }),
        ]),
      )
      .max(ACTORS_MAX, `may have ${ACTORS_MAX} items`)
      .describe('Everybody who acts, whoever acts now first. Those after the first can only deny.')
      .optional(),
    tenant: id('Must agree with the gateway and the token.').optional(),
    tool: z
      .union([
        id('`server/tool`.'),
        z.strictObject({
          // With a slash in it two different pairs could spell the same tool id.
          server: id('MCP server.').regex(/^[^/]*$/, 'must not contain `/`'),
          name: id('Tool on that server.'),
        }),
      ])
      .describe('What is called.')
      .optional(),
    action: z
      .union([
        id('The name alone.'),
        z.strictObject({ name: id('Name of the action.'), properties: object('Facts about it.').optional() }),
      ])
      .describe('Action, where the tool does not already say it.')
      .optional(),
    resource: z
      .strictObject({
        type: id('Type of the data object.'),
        id: id('The id.'),
        properties: object('Attributes; used only where the registry says nothing.').optional(),
      })
      .describe('Data object; absent when the tool itself is the resource.')
      .optional(),
    arguments: object('Arguments of the call.').optional(),
    task: z
      .strictObject({ id: id('Id of the task.').optional(), goal: text('Goal in words.', 4096).optional() })
      .describe('What the agent says that it works on. Can only restrict.')
      .optional(),
    session: z.strictObject({ id: id('One run of the agent.') }).optional(),
    risk: z
      .strictObject({
        score: score('As the gateway measured it.').optional(),
        declared: score('As the agent claims it. Can only restrict.').optional(),
      })
      .optional(),
    context: object('Facts about the environment, from the gateway.').optional(),
    declared: object('What the agent says about itself. Can only restrict.').optional(),
    credentials: z
      .strictObject({
        access_token: text('The access token that came with the call.', 65_536).optional(),
        token_type: z
          .enum(['Bearer', 'DPoP'], 'must be Bearer or DPoP')
          .describe('Scheme under which it came. Default Bearer.')
          .optional(),
      })
      .describe('Verified here; never logged.')
      .optional(),
    proofs: proofsSchema.optional(),
    request: z
      .strictObject({
        id: z
          .string('must be a text')
          .regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces')
          .describe("The gateway's own id of the request.")
          .optional(),
      })
      .optional(),
  })
  .meta({ id: 'DecideRequest' })

/** A list of an MCP server, and who asks for it. The reader (mcp-filter.ts) takes it apart; this is its description. */
export const mcpFilterSchema = nativeRequestSchema
  .omit({ tool: true, action: true, resource: true, arguments: true })
  .extend({
    server: id('MCP server, as it is registered.'),
    method: z
      .enum(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])
      .describe('What was listed. Default tools/list.')
      .optional(),
    result: object('The result as the server gave it.'),
  })
  .meta({ id: 'McpFilterRequest' })

/** Several questions at once. Items are read one by one, so that one broken item does not spoil the rest. */
export const nativeBatchSchema = z
  .strictObject({
    requests: z
      .array(nativeRequestSchema)
      .min(1, 'must have an item')
      .max(BATCH_ITEMS_MAX, `may have ${BATCH_ITEMS_MAX} items`),
  })
  .meta({ id: 'DecideBatchRequest' })

/** One question as it was read. */
export type NativeRequest = z.infer<typeof nativeRequestSchema>

/** Field names of the object at `path` in a question, for "did you mean". */
export function nativeFields(path: readonly PropertyKey[]): readonly string[] {
  return FIELDS[String(path.at(-1) ?? '')] ?? []
}

const FIELDS: { readonly [name: string]: readonly string[] } = {
  '': Object.keys(nativeRequestSchema.shape),
  agent: ['id', 'properties'],
  user: ['id', 'properties'],
  tool: ['server', 'name'],
  action: ['name', 'properties'],
  resource: ['type', 'id', 'properties'],
  task: ['id', 'goal'],
  session: ['id'],
  risk: ['score', 'declared'],
  credentials: ['access_token', 'token_type'],
  proofs: Object.keys(proofsSchema.shape),
  call: ['method', 'path', 'host'],
  certificate: ['source', 'value', 'chain', 'verified'],
  request: ['id'],
}
