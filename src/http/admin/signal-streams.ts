import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import {
  changeSubject,
  readStream,
  readStreamStatus,
  requestVerification,
  setStreamStatus,
  updateStream,
} from '#admin/managed-streams.ts'
import { STANDINGS } from '#admin/signal-ports.ts'
import { addStream, removeStream } from '#admin/signals.ts'
import type { StreamParts } from '#admin/stream-setup.ts'
import { STREAM_STATUSES } from '#signals/stream-configuration.ts'
import type { TransmitterClient } from '#signals/transmitter-client.ts'
import { type AdminEnv, tenantOf } from './call.ts'
import { Problem, unwrap } from './problem.ts'
import type { At } from './route.ts'
import { body, json, namedParam, PROBLEMS, pageOf, pageQuery, readPage, tenantParam } from './shapes.ts'

const texts = z.array(z.string()).readonly()

const stream = z
  .object({
    stream: z.string(),
    tenant: z.string(),
    name: z.string(),
    issuer: z.string(),
    audience: texts,
    subject_issuers: texts,
    wide: z.boolean(),
    standing: z.enum(STANDINGS).openapi({
      description:
        'Stopped by its transmitter (`disabled`, `paused`), without the verification event that was asked for (`unverified`) or waiting for it (`waiting`), not to be fetched or asked about (`failing`), or `healthy`.',
    }),
    status: z.string(),
    created_at: z.string(),
    last_event_at: z.string().nullable(),
    verified_at: z.string().nullable(),
    verified_state: z.string().nullable(),
    verification_due_at: z.string().nullable(),
    transmitter_stream: z.string().nullable().openapi({
      description: 'Its id at the transmitter; null: it was set up there by hand.',
    }),
    checked_at: z.string().nullable(),
    check_fault: z.string().nullable(),
    poll: z.string().nullable().openapi({ description: 'Where it is fetched; null: it is pushed.' }),
    polled_at: z.string().nullable(),
    poll_fault: z.string().nullable(),
  })
  .openapi('SignalStream')

const added = z
  .object({
    tenant: z.string(),
    name: z.string(),
    stream: z.string(),
    poll: z.string().optional(),
    path: z.string().optional().openapi({ description: 'Where it is pushed to, on the decision listener.' }),
    authorization: z.string().optional().openapi({
      description:
        'What it is pushed with, shown this once; the transmitter of a stream that was set up has it.',
    }),
    transmitter_stream: z.string().optional(),
    delivery: z.enum(['push', 'poll']).optional(),
    audience: texts.optional(),
    events_delivered: texts.optional(),
    check_fault: z.string().nullable().optional(),
  })
  .openapi('AddedSignalStream')

const configuration = z
  .object({
    stream_id: z.string(),
    iss: z.string(),
    aud: texts,
    delivery: z.object({ method: z.string(), endpoint_url: z.string() }),
    events_requested: texts.optional(),
    events_supported: texts.optional(),
    events_delivered: texts,
    description: z.string().optional(),
    min_verification_interval: z.number().optional(),
    inactivity_timeout: z.number().optional(),
  })
  .openapi('SignalStreamConfiguration', { description: 'As the transmitter has it (SSF 1.0 section 8.1.1).' })

const accepted = z.object({ accepted: z.literal(true) })
const status = z.object({ status: z.enum(STREAM_STATUSES), reason: z.string().optional() })
const reason = z.string().openapi({ description: 'Why; the audit keeps it.' })
const ACCEPTED = json(accepted, 'The transmitter has accepted it and has not done it yet.')

/** What the routes are made of. */
export interface StreamRoutes {
  readonly app: OpenAPIHono<AdminEnv>
  readonly at: At
  readonly client: TransmitterClient
}

/** Streams of others' security events, and their transmitters. */
export function signalStreamRoutes(app: OpenAPIHono<AdminEnv>, at: At, client: TransmitterClient): void {
  const routes: StreamRoutes = { app, at, client }
  addListAndAdd(routes)
  addRemove(routes)
  addConfiguration(routes)
  addStatus(routes)
  addVerification(routes)
  addSubjects(routes)
}

type Get = (name: 'store') => StreamParts['store']

function partsOf(c: { readonly get: Get }, { client }: StreamRoutes): StreamParts {
  return { store: c.get('store'), client }
}

function addListAndAdd(routes: StreamRoutes): void {
  const { app, at } = routes
  const list = createRoute({
    ...at('GET /v1/tenants/{tenant}/signal-streams'),
    summary: "List streams of others' security events by name",
    request: { params: tenantParam, query: pageQuery },
    responses: { ...PROBLEMS, 200: json(pageOf(stream), 'Streams.') },
  })
  app.openapi(list, async (c) => {
    const { items, next } = await readPage(
      c.req.valid('query'),
      (page) => c.get('store').listStreams(tenantOf(c), page),
      (row) => row.name,
    )
    return c.json({ items: items.map((row) => ({ ...row })), next }, 200)
  })

  const add = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-streams'),
    summary: 'Set a stream up at its transmitter, or register one that was set up by hand',
    request: {
      params: tenantParam,
      body: body(
        z.strictObject({
          name: z.string(),
          stream: z.looseObject({ issuer: z.string() }).openapi('SignalStreamFile', {
            description: 'As the file of `warder signal add`: issuer, and transmitter or keys.',
          }),
        }),
      ),
    },
    responses: { ...PROBLEMS, 201: json(added, 'The stream is heard.') },
  })
  app.openapi(add, async (c) => {
    const { name, stream: file } = c.req.valid('json')
    const { token } = c.get('call')
    c.get('call').target = name.slice(0, 80)
    // INVARIANT: who administers one tenant can't use the server to reach into the network that it stands in.
    if (token.tenants !== null && file['private_network'] === true)
      throw new Problem(403, 'http.forbidden', 'only a token for all tenants may set `private_network`')
    const request = { tenant: tenantOf(c), name, text: JSON.stringify(file) }
    return c.json({ ...unwrap(await addStream(partsOf(c, routes), request)) }, 201)
  })
}

function addRemove(routes: StreamRoutes): void {
  const { app, at } = routes
  const remove = createRoute({
    ...at('DELETE /v1/tenants/{tenant}/signal-streams/{name}'),
    summary: 'End a stream, at its transmitter too if it was set up from here; what it revoked stays revoked',
    request: {
      params: namedParam,
      query: z.object({
        reason,
        only_here: z.enum(['true', 'false']).default('false').openapi({
          description: 'Not at its transmitter, which may be gone.',
        }),
      }),
    },
    responses: {
      ...PROBLEMS,
      200: json(z.object({ tenant: z.string(), name: z.string() }), 'It has ended.'),
    },
  })
  app.openapi(remove, async (c) => {
    const { only_here: onlyHere, reason: why } = c.req.valid('query')
    const { name } = c.req.valid('param')
    const request = { tenant: tenantOf(c), name, reason: why, onlyHere: onlyHere === 'true' }
    return c.json(unwrap(await removeStream(partsOf(c, routes), request)), 200)
  })
}

function addConfiguration(routes: StreamRoutes): void {
  const { app, at } = routes
  const show = createRoute({
    ...at('GET /v1/tenants/{tenant}/signal-streams/{name}/configuration'),
    summary: 'Ask the transmitter what it has of a stream',
    request: { params: namedParam },
    responses: { ...PROBLEMS, 200: json(configuration, 'The stream as the transmitter has it.') },
  })
  app.openapi(show, async (c) => {
    const request = { tenant: tenantOf(c), name: c.req.valid('param').name }
    return c.json({ ...unwrap(await readStream(partsOf(c, routes), request)) }, 200)
  })

  const change = createRoute({
    ...at('PATCH /v1/tenants/{tenant}/signal-streams/{name}/configuration'),
    summary: 'Change which events the transmitter is asked for, or the description',
    request: {
      params: namedParam,
      body: body(
        z.strictObject({
          reason,
          events_requested: z.array(z.string()).optional(),
          description: z.string().optional(),
        }),
      ),
    },
    responses: { ...PROBLEMS, 200: json(configuration, 'What the transmitter has now.'), 202: ACCEPTED },
  })
  app.openapi(change, async (c) => {
    const { events_requested: events, description, reason: why } = c.req.valid('json')
    const { name } = c.req.valid('param')
    const request = { tenant: tenantOf(c), name, reason: why, events, description }
    const changed = unwrap(await updateStream(partsOf(c, routes), request))
    return changed === 'accepted' ? c.json({ accepted: true as const }, 202) : c.json({ ...changed }, 200)
  })
}

function addStatus(routes: StreamRoutes): void {
  const { app, at } = routes
  const show = createRoute({
    ...at('GET /v1/tenants/{tenant}/signal-streams/{name}/status'),
    summary: 'Ask the transmitter for the status of a stream',
    request: { params: namedParam },
    responses: { ...PROBLEMS, 200: json(status, 'What it says; the list has it from now on.') },
  })
  app.openapi(show, async (c) => {
    const request = { tenant: tenantOf(c), name: c.req.valid('param').name }
    return c.json({ ...unwrap(await readStreamStatus(partsOf(c, routes), request)) }, 200)
  })

  const set = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-streams/{name}/status'),
    summary: 'Have the transmitter enable, pause or disable a stream',
    request: { params: namedParam, body: body(z.strictObject({ status: z.enum(STREAM_STATUSES), reason })) },
    responses: { ...PROBLEMS, 200: json(status, 'What the transmitter says now.'), 202: ACCEPTED },
  })
  app.openapi(set, async (c) => {
    const { status: wanted, reason: why } = c.req.valid('json')
    const { name } = c.req.valid('param')
    const request = { tenant: tenantOf(c), name, status: wanted, reason: why }
    const told = unwrap(await setStreamStatus(partsOf(c, routes), request))
    return told === 'accepted' ? c.json({ accepted: true as const }, 202) : c.json({ ...told }, 200)
  })
}

function addVerification(routes: StreamRoutes): void {
  const { app, at } = routes
  const verify = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-streams/{name}/verify'),
    summary: 'Ask the transmitter for a verification event',
    request: { params: namedParam },
    responses: {
      ...PROBLEMS,
      202: json(
        z.object({ asked: z.literal(true), within_seconds: z.int() }),
        'It was asked; the list tells whether the event came in time.',
      ),
    },
  })
  app.openapi(verify, async (c) => {
    const request = { tenant: tenantOf(c), name: c.req.valid('param').name }
    return c.json(unwrap(await requestVerification(partsOf(c, routes), request)), 202)
  })
}

function addSubjects(routes: StreamRoutes): void {
  const { app, at } = routes
  const change = createRoute({
    ...at('POST /v1/tenants/{tenant}/signal-streams/{name}/subjects'),
    summary: 'Tell the transmitter that events about a subject are wanted, or are not',
    request: {
      params: namedParam,
      body: body(
        z.strictObject({
          change: z.enum(['add', 'remove']),
          subject: z.record(z.string(), z.any()).openapi({ description: 'RFC 9493.' }),
          reason,
        }),
      ),
    },
    responses: { ...PROBLEMS, 200: json(z.object({ done: z.literal(true) }), 'The transmitter was told.') },
  })
  app.openapi(change, async (c) => {
    const { name } = c.req.valid('param')
    const request = { tenant: tenantOf(c), name, ...c.req.valid('json') }
    return c.json(unwrap(await changeSubject(partsOf(c, routes), request)), 200)
  })
}
