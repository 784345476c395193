import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { Resource } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  type Sampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node'
import type { Decider } from '#model/decider.ts'
import type { Decision } from '#model/decision.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { Dialect } from '#model/request.ts'
import { createBacklog } from './backlog.ts'
import { counted, exporterOptions } from './exporting.ts'
import type { SamplerSettings, SignalSettings, TelemetrySettings } from './settings.ts'
import { traceParent } from './trace-parent.ts'

/** Spans of decisions on their way to a collector. */
export interface Traces {
  traced(decider: Decider): Decider
  /** A step of the decision that is under way took from then to then, in milliseconds of `performance.now()`. */
  step(name: string, startedAt: number, endedAt: number): void
  lost(): number
  shutdown(): Promise<void>
}

/** The span of a decision that is under way and sampled. */
interface Scope {
  readonly span: Span
  readonly context: Context
}

/** Denies that are our fault and nobody's decision. */
const FAULTS: ReadonlySet<ReasonCode | undefined> = new Set([
  'internal.fault',
  'log.unavailable',
  'log.overflow',
  'policy.engine_error',
  'state.stale',
])

/**
 * A span for each decision and for each of its steps. Attributes say what was decided and why by code, and never hold a
 * part of the request: no name of a party, no argument, no token.
 */
export function createTraces(
  signal: SignalSettings,
  settings: TelemetrySettings,
  resource: Resource,
  onFault: (fault: unknown) => void,
): Traces {
  const backlog = createBacklog(settings.spanQueueMax)
  const batches = new BatchSpanProcessor(
    counted(new OTLPTraceExporter(exporterOptions(signal)), backlog, onFault),
    {
      maxQueueSize: settings.spanQueueMax,
      maxExportBatchSize: Math.min(512, settings.spanQueueMax),
      scheduledDelayMillis: settings.spanDelayMilliseconds,
      exportTimeoutMillis: 2 * signal.timeoutMilliseconds,
    },
  )
  const admitted: SpanProcessor = {
    onStart: () => undefined,
    onEnd: (span) => {
      if (backlog.admit()) batches.onEnd(span)
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  }
  const sampler = samplerOf(settings.sampler)
  const provider = new NodeTracerProvider({ resource, sampler, spanProcessors: [admitted] })
  const tracer = provider.getTracer('warder')
  const scopes = new AsyncLocalStorage<Scope>()
  return {
    traced: (decider) => tracedDecider(decider, tracer, scopes),
    step: (name, startedAt, endedAt) => {
      const scope = scopes.getStore()
      if (scope !== undefined) quietly(() => addStep(tracer, scope, name, startedAt, endedAt))
    },
    lost: () => backlog.lost,
    shutdown: () => provider.shutdown(),
  }
}

function tracedDecider(decider: Decider, tracer: Tracer, scopes: AsyncLocalStorage<Scope>): Decider {
  const within = async (
    dialect: Dialect,
    parent: Context,
    decide: () => Promise<Decision>,
  ): Promise<Decision> => {
    const attributes = { 'warder.dialect': dialect }
    const span = quietly(() =>
      tracer.startSpan('warder.decide', { kind: SpanKind.SERVER, attributes }, parent),
    )
    if (span === undefined || !span.isRecording()) return await decide()
    try {
      const decision = await scopes.run({ span, context: trace.setSpan(parent, span) }, decide)
      quietly(() => describe(span, decision))
      return decision
    } finally {
      quietly(() => span.end())
    }
  }
  return {
    decide: (request, gateway, earlier) =>
      within(request.dialect, traceParent(request.traceparent), () =>
        decider.decide(request, gateway, earlier),
      ),
    refuse: (malformed, gateway, dialect, requestId) =>
      within(dialect, traceParent(undefined), () => decider.refuse(malformed, gateway, dialect, requestId)),
  }
}

function describe(span: Span, { id, tenant, effect, reasons, release, stateVersion }: Decision): void {
  const code = reasons[0]?.code
  span.setAttributes({
    'warder.decision_id': id,
    'warder.tenant': tenant,
    'warder.decision': effect,
    'warder.state_version': stateVersion,
    ...(code !== undefined && { 'warder.reason': code }),
    ...(release !== undefined && { 'warder.release': release }),
  })
  if (code !== undefined && FAULTS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR, message: code })
}

function addStep(
  tracer: Tracer,
  { span, context }: Scope,
  name: string,
  startedAt: number,
  endedAt: number,
): void {
  const milliseconds = endedAt - startedAt
  // The clock of the span above: the machine's clock may have been set since the process began.
  const endTime = Date.now()
  tracer.startSpan(`warder.${name}`, { startTime: endTime - milliseconds }, context).end(endTime)
  span.setAttribute(`warder.${name}_ms`, milliseconds)
}

/** INVARIANT: a fault of the exporter's code is a missing span and never a decision that fails. */
function quietly<Out>(run: () => Out): Out | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}

function samplerOf({ ratio, parentBased }: SamplerSettings): Sampler {
  const root = ratioSampler(ratio)
  return parentBased ? new ParentBasedSampler({ root }) : root
}

function ratioSampler(ratio: number): Sampler {
  if (ratio === 1) return new AlwaysOnSampler()
  return ratio === 0 ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio)
}
