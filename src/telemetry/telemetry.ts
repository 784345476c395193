import { setTimeout as delay } from 'node:timers/promises'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { Decider } from '#model/decider.ts'
import { createLogRecords } from './log-records.ts'
import type { TelemetrySettings } from './settings.ts'
import { createTraces } from './traces.ts'

/** What leaves for an OTLP collector. Nothing here can fail a decision or make one wait. */
export interface Telemetry {
  /** What of the settings was not understood. */
  readonly warnings: readonly string[]
  /** `decider` with a span for each decision; itself when traces are not exported. */
  traced(decider: Decider): Decider
  /** A step of the decision that is under way took from then to then, in milliseconds of `performance.now()`. */
  step(name: string, startedAt: number, endedAt: number): void
  /** Takes one line of the process log. */
  write(line: string): void
  /** Spans and log records that the collector did not take, or that had no room to wait. */
  lost(): number
  /** Who is told about failed exports from now on. */
  onFault(report: (signal: 'traces' | 'logs', fault: unknown) => void): void
  /** Sends what waits, for at most so long. Never rejects. False: the collector did not take all in time. */
  close(milliseconds: number): Promise<boolean>
}

/** Starts to export with OTLP over HTTP, JSON. */
export function startTelemetry(settings: TelemetrySettings, version: string): Telemetry {
  let report: (signal: 'traces' | 'logs', fault: unknown) => void = () => undefined
  const resource = resourceFromAttributes({ 'service.version': version, ...settings.resource })
  const traces =
    settings.traces && createTraces(settings.traces, settings, resource, (fault) => report('traces', fault))
  const logs =
    settings.logs && createLogRecords(settings.logs, settings, resource, (fault) => report('logs', fault))
  return {
    warnings: settings.warnings,
    traced: (decider) => traces?.traced(decider) ?? decider,
    step: (name, startedAt, endedAt) => traces?.step(name, startedAt, endedAt),
    write: (line) => logs?.write(line),
    lost: () => (traces?.lost() ?? 0) + (logs?.lost() ?? 0),
    onFault: (next) => {
      report = next
    },
    close: async (milliseconds) => {
      // Whatever a flush rejects with, the server is stopping and the rows of decisions are durable already.
      const ended = Promise.allSettled([traces?.shutdown(), logs?.shutdown()]).then(() => true)
      const cut = new AbortController()
      const late = delay(milliseconds, false, { signal: cut.signal }).catch(() => false)
      const isComplete = await Promise.race([ended, late])
      cut.abort()
      return isComplete
    },
  }
}
