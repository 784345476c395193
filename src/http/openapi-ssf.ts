import type { Json, JsonObject } from '#model/value.ts'
import {
  newStreamSchema,
  pollSchema,
  statusChangeSchema,
  streamChangeSchema,
  verificationSchema,
} from './ssf-schema.ts'

/** Schemas of what receivers send, by their id in the document. */
export const SSF_SCHEMAS = [
  newStreamSchema,
  streamChangeSchema,
  statusChangeSchema,
  verificationSchema,
  pollSchema,
] as const

/** How receivers prove themselves. */
export const RECEIVER_KEY: JsonObject = {
  type: 'http',
  scheme: 'bearer',
  description: 'The credential that `warder signal receiver add` printed.',
}

const STREAM_ID: JsonObject = {
  name: 'stream_id',
  in: 'query',
  required: true,
  schema: { type: 'string' },
}
const CONFIGURATION = content({ type: 'object', description: 'The configuration of the stream (SSF 8.1.1).' })
const STATUS = content({
  type: 'object',
  properties: {
    stream_id: { type: 'string' },
    status: { type: 'string', enum: ['enabled', 'paused', 'disabled'] },
    reason: { type: 'string' },
  },
})
const ERROR: JsonObject = {
  type: 'object',
  properties: {
    err: { type: 'string', description: 'Stable, machine-readable.' },
    description: { type: 'string' },
  },
}

/** Routes of receivers of our events: poll delivery (RFC 8936) and stream management (SSF 8.1). */
export function ssfPaths(): JsonObject {
  return {
    '/.well-known/ssf-configuration/tenants/{tenant}': {
      get: {
        operationId: 'transmitterConfiguration',
        summary:
          'Configuration of the issuer of a tenant (SSF 7.1); the same whether or not there is such a tenant',
        security: [],
        parameters: [inPath('tenant')],
        responses: { 200: { description: 'The configuration.', content: content({ type: 'object' }) } },
      },
    },
    '/v1/ssf/stream': {
      get: operation('readStream', 'Reads the stream, or without an id the list of streams', {
        parameters: [{ ...STREAM_ID, required: false }],
        responses: answers(200, CONFIGURATION, 404),
      }),
      post: operation('createStream', 'Makes the stream of the receiver', {
        requestBody: bodyOf('NewStream'),
        responses: answers(201, CONFIGURATION, 400, 409),
      }),
      patch: operation('updateStream', 'Changes what is given', {
        requestBody: bodyOf('StreamChange'),
        responses: answers(200, CONFIGURATION, 400, 404),
      }),
      put: operation('replaceStream', 'Replaces everything that a receiver may set', {
        requestBody: bodyOf('StreamChange'),
        responses: answers(200, CONFIGURATION, 400, 404),
      }),
      delete: operation('deleteStream', 'Ends the stream and drops what waits', {
        parameters: [STREAM_ID],
        responses: answers(204, undefined, 404),
      }),
    },
    '/v1/ssf/status': {
      get: operation('readStatus', 'Reads the status of the stream', {
        parameters: [STREAM_ID],
        responses: answers(200, STATUS, 404),
      }),
      post: operation('updateStatus', 'Enables, pauses or disables the stream', {
        requestBody: bodyOf('StatusChange'),
        responses: answers(200, STATUS, 400, 404),
      }),
    },
    '/v1/ssf/verify': {
      post: operation('verifyStream', 'Asks for a verification event', {
        requestBody: bodyOf('VerificationRequest'),
        responses: answers(204, undefined, 400, 404),
      }),
    },
    '/v1/ssf/poll/{stream}': {
      post: operation('poll', 'Acknowledges events and fetches those that wait (RFC 8936)', {
        parameters: [inPath('stream')],
        requestBody: bodyOf('PollRequest'),
        responses: answers(
          200,
          content({
            type: 'object',
            properties: {
              sets: { type: 'object', additionalProperties: { type: 'string' } },
              moreAvailable: { type: 'boolean' },
            },
          }),
          400,
          404,
        ),
      }),
    },
  }
}

const DESCRIPTIONS: { readonly [status: number]: string } = {
  400: 'The request can not be read or not be done; `err` says why.',
  401: 'No valid credential of a receiver.',
  404: 'The receiver has no stream of that id: the same answer for one that does not exist and for that of another.',
  409: 'The receiver has its stream already.',
  429: 'Too many requests of this receiver, or a verification event too soon; see `Retry-After`.',
  503: 'Try again later.',
}

function answers(status: number, success: JsonObject | undefined, ...errors: number[]): JsonObject {
  const failures = [...errors, 401, 429].map((each): [string, Json] => [
    String(each),
    { description: DESCRIPTIONS[each] ?? '', content: content(ERROR) },
  ])
  return {
    [status]: { description: 'Done.', ...(success !== undefined && { content: success }) },
    ...Object.fromEntries(failures),
    503: { description: DESCRIPTIONS[503] ?? '' },
  }
}

function operation(operationId: string, summary: string, rest: JsonObject): JsonObject {
  return { operationId, summary, security: [{ receiverKey: [] }], ...rest }
}

function inPath(name: string): JsonObject {
  return { name, in: 'path', required: true, schema: { type: 'string' } }
}

function bodyOf(schema: string): JsonObject {
  return { required: true, content: content({ $ref: `#/components/schemas/${schema}` }) }
}

function content(schema: JsonObject): JsonObject {
  return { 'application/json': { schema } }
}
