import { z } from 'zod'
import {
  evaluationSchema,
  evaluationsSchema,
  searchSchemas,
  warderContextSchema,
} from '#gateways/authzen-schema.ts'
import { mcpFilterSchema, nativeBatchSchema, nativeRequestSchema } from '#gateways/native-schema.ts'
import type { Json, JsonObject } from '#model/value.ts'
import {
  batchAnswer,
  decideAnswer,
  errorAnswer,
  evaluationAnswer,
  evaluationsAnswer,
  explainAnswer,
  mcpFilterAnswer,
  searchAnswer,
} from './openapi-answers.ts'
import { RECEIVER_KEY, SSF_SCHEMAS, ssfPaths } from './openapi-ssf.ts'

const REQUEST_ID: JsonObject = {
  name: 'X-Request-ID',
  in: 'header',
  required: false,
  description: 'Echoed on the answer, errors included; 1 to 128 printable characters.',
  schema: { type: 'string', maxLength: 128 },
}

const IDEMPOTENCY_KEY: JsonObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A string in double quotes, new for each question and the same for its repeats: for a minute they have no second effect.',
  schema: { type: 'string', pattern: '^"[ !#-\\[\\]-~]{1,128}"$' },
}

const DECISION_ID: JsonObject = {
  description: 'Id of the logged decision; of a batch all of them, separated by a comma, in order.',
  schema: { type: 'string' },
}

/** The OpenAPI 3.1 description of the decision listener; made from the schemas that read the requests. */
export function openApiDocument(): JsonObject {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Warder decisions',
      version: '1',
      description:
        'May this agent, for this user, do this now? Every route takes the gateway key as a bearer token, or in the path as /g/KEY before the route.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ gatewayKey: [] }],
    paths: {
      '/v1/decide': nativeRoute('decide', 'Decides one request', 'DecideRequest', 'DecideAnswer'),
      '/v1/decide/batch': nativeRoute(
        'decideBatch',
        'Decides up to 100 requests',
        'DecideBatchRequest',
        'DecideBatchAnswer',
      ),
      '/v1/explain': nativeRoute(
        'explain',
        'Says why the decision would be what it is, in words that an agent may see',
        'DecideRequest',
        'ExplainAnswer',
      ),
      '/v1/mcp/filter': nativeRoute(
        'filterList',
        'Reduces a list of an MCP server to what its caller could call',
        'McpFilterRequest',
        'McpFilterAnswer',
      ),
      ...authzenPaths(),
      ...ssfPaths(),
    },
    components: {
      securitySchemes: {
        gatewayKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'The key that `warder gateway add` printed.',
        },
        receiverKey: RECEIVER_KEY,
      },
      schemas: {
        ...schemas('input', [
          nativeRequestSchema,
          nativeBatchSchema,
          mcpFilterSchema,
          evaluationSchema,
          evaluationsSchema,
          ...Object.values(searchSchemas),
          warderContextSchema,
          ...SSF_SCHEMAS,
        ]),
        ...schemas('output', [
          decideAnswer,
          explainAnswer,
          mcpFilterAnswer,
          batchAnswer,
          errorAnswer,
          evaluationAnswer,
          evaluationsAnswer,
          searchAnswer,
        ]),
      },
    },
  }
}

function nativeRoute(operationId: string, summary: string, request: string, answer: string): JsonObject {
  const error = { content: json(ref('Error')) }
  return post(operationId, summary, request, ref(answer), {
    400: { ...error, description: 'The request could not be read; `error.code` says why.' },
    413: { ...error, description: 'The body is too large.' },
    415: { ...error, description: 'The body is not plain application/json.' },
    ...shared(ref('Error')),
  })
}

function authzenPaths(): JsonObject {
  return {
    '/access/v1/evaluation': authzenRoute(
      'evaluation',
      'AuthZEN 1.0 access evaluation',
      'EvaluationRequest',
      ref('EvaluationAnswer'),
    ),
    '/access/v1/evaluations': authzenRoute(
      'evaluations',
      'AuthZEN 1.0 access evaluations',
      'EvaluationsRequest',
      {
        anyOf: [ref('EvaluationsAnswer'), ref('EvaluationAnswer')],
      },
    ),
    ...searchPath('subject', 'Who may do this'),
    ...searchPath('resource', 'What this may be done to'),
    ...searchPath('action', 'What may be done'),
  }
}

function searchPath(open: 'subject' | 'resource' | 'action', summary: string): JsonObject {
  const name = `${open.charAt(0).toUpperCase()}${open.slice(1)}Search`
  return {
    [`/access/v1/search/${open}`]: authzenRoute(
      `search${open.charAt(0).toUpperCase()}${open.slice(1)}`,
      `AuthZEN 1.0 ${open} search: ${summary.toLowerCase()}`,
      `${name}Request`,
      ref('SearchAnswer'),
    ),
  }
}

function authzenRoute(operationId: string, summary: string, request: string, answer: JsonObject): JsonObject {
  const message: JsonObject = { type: 'string', description: '`code: message`' }
  return post(operationId, summary, request, answer, {
    400: { description: 'The request could not be read.', content: json(message) },
    ...shared(message),
  })
}

function shared(schema: JsonObject): { readonly [status: string]: Json } {
  return {
    401: { description: 'The request carries no valid gateway key.', content: json(schema) },
    405: { description: 'Only POST.', content: json(schema) },
    422: { description: 'The idempotency key was used for another request.', content: json(schema) },
    503: {
      description: 'Too many requests are in flight, or the decision could not be logged.',
      content: json(schema),
    },
  }
}

function post(
  operationId: string,
  summary: string,
  request: string,
  answer: JsonObject,
  errors: { readonly [status: string]: Json },
): JsonObject {
  return {
    post: {
      operationId,
      summary,
      parameters: [REQUEST_ID, IDEMPOTENCY_KEY],
      requestBody: { required: true, content: json(ref(request)) },
      responses: {
        200: {
          description: 'The decision, allow or deny.',
          headers: { 'X-Decision-Id': DECISION_ID },
          content: json(answer),
        },
        ...errors,
      },
    },
  }
}

function json(schema: JsonObject): JsonObject {
  return { 'application/json': { schema } }
}

function ref(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` }
}

/** Each schema under its id, with references between them. */
function schemas(io: 'input' | 'output', types: readonly z.ZodType[]): JsonObject {
  const registry = z.registry<{ id: string }>()
  for (const type of types) {
    const id = type.meta()?.['id']
    if (typeof id === 'string') registry.add(type, { id })
  }
  const made = z.toJSONSchema(registry, {
    io,
    unrepresentable: 'any',
    override: (context) => (io === 'output' ? tolerate(context.jsonSchema) : undefined),
    uri: (id) => `#/components/schemas/${id}`,
  })
  return parseSchemas(JSON.stringify(made.schemas))
}

/** Drops what only a document of its own needs. */
function parseSchemas(text: string): JsonObject {
  return JSON.parse(text, (key, value: unknown) =>
    key === '$schema' || key === '$id' || (key === 'id' && typeof value === 'string') ? undefined : value,
  ) as JsonObject
}

/** Readers of answers must expect members that a later version adds. */
function tolerate(schema: { additionalProperties?: unknown }): void {
  if (schema.additionalProperties === false) delete schema.additionalProperties
}
