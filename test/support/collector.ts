import { createServer, type IncomingHttpHeaders } from 'node:http'
import { gunzipSync } from 'node:zlib'

/** One export as it arrived. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A span as OTLP/JSON carries it, attributes as a record. */
export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly status: { readonly code?: number; readonly message?: string }
  readonly durationNanoseconds: number
  readonly attributes: Readonly<Record<string, unknown>>
}

/** A log record as OTLP/JSON carries it. */
export interface ReceivedLog {
  readonly severityText: string
  readonly body: unknown
  readonly attributes: Readonly<Record<string, unknown>>
}

/** A collector on this machine that takes OTLP over HTTP and understands JSON. */
export interface Collector {
  readonly url: string
  readonly received: readonly Received[]
  spans(): readonly ReceivedSpan[]
  logs(): readonly ReceivedLog[]
  resource(): Readonly<Record<string, unknown>>
  close(): Promise<void>
}

type Attributes = readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]

/** Starts a collector. `status`: what it answers; `silent` never answers. */
export async function startCollector(status: number | 'silent' = 200): Promise<Collector> {
  const received: Received[] = []
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const text = (incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
    received.push({ path: incoming.url ?? '', headers: incoming.headers, text })
    if (status !== 'silent')
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the collector has no port')
  const at = (path: string) =>
    received.filter((each) => each.path === path).map(({ text }) => JSON.parse(text))
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    spans: () =>
      at('/v1/traces').flatMap(({ resourceSpans }) =>
        resourceSpans.flatMap(({ scopeSpans }: { scopeSpans: { spans: object[] }[] }) =>
          scopeSpans.flatMap(({ spans }) => spans.map(spanOf)),
        ),
      ),
    logs: () =>
      at('/v1/logs').flatMap(({ resourceLogs }) =>
        resourceLogs.flatMap(({ scopeLogs }: { scopeLogs: { logRecords: object[] }[] }) =>
          scopeLogs.flatMap(({ logRecords }) => logRecords.map(logOf)),
        ),
      ),
    resource: () => recordOf(at('/v1/traces')[0].resourceSpans[0].resource.attributes),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire
function spanOf(span: any): ReceivedSpan {
  const { name, traceId, spanId, parentSpanId, status, attributes } = span
  const durationNanoseconds = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano))
  return {
    name,
    traceId,
    spanId,
    parentSpanId: parentSpanId || undefined,
    status,
    durationNanoseconds,
    attributes: recordOf(attributes),
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire
function logOf({ severityText, body, attributes }: any): ReceivedLog {
  return { severityText, body: body.stringValue, attributes: recordOf(attributes) }
}

function recordOf(attributes: Attributes): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
