import { type AnyValueMap, SeverityNumber } from '@opentelemetry/api-logs'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import type { Resource } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { createBacklog } from './backlog.ts'
import { counted, exporterOptions } from './exporting.ts'
import type { SignalSettings, TelemetrySettings } from './settings.ts'

/** The process log on its way to a collector. */
export interface LogRecords {
  /** Takes one line of JSON. Never throws, never waits. */
  write(line: string): void
  lost(): number
  shutdown(): Promise<void>
}

const SEVERITIES: { readonly [level: number]: readonly [SeverityNumber, string] } = {
  20: [SeverityNumber.DEBUG, 'DEBUG'],
  30: [SeverityNumber.INFO, 'INFO'],
  40: [SeverityNumber.WARN, 'WARN'],
  50: [SeverityNumber.ERROR, 'ERROR'],
  60: [SeverityNumber.FATAL, 'FATAL'],
}

/** Sends lines as the process log wrote them: what is masked there is masked here. */
export function createLogRecords(
  signal: SignalSettings,
  settings: TelemetrySettings,
  resource: Resource,
  onFault: (fault: unknown) => void,
): LogRecords {
  const backlog = createBacklog(settings.logQueueMax)
  const processor = new BatchLogRecordProcessor({
    exporter: counted(new OTLPLogExporter(exporterOptions(signal)), backlog, onFault),
    maxQueueSize: settings.logQueueMax,
    maxExportBatchSize: Math.min(512, settings.logQueueMax),
    scheduledDelayMillis: settings.logDelayMilliseconds,
    exportTimeoutMillis: 2 * signal.timeoutMilliseconds,
  })
  const provider = new LoggerProvider({ resource, processors: [processor] })
  const logger = provider.getLogger('warder')
  return {
    write: (line) => {
      const fields = fieldsOf(line)
      if (fields === undefined || !backlog.admit()) return
      const { level, time, msg, name: _name, ...attributes } = fields
      const [severityNumber, severityText] = SEVERITIES[Number(level)] ?? [SeverityNumber.UNSPECIFIED, '']
      logger.emit({
        severityNumber,
        severityText,
        body: String(msg ?? ''),
        attributes,
        ...(typeof time === 'number' && { timestamp: time }),
      })
    },
    lost: () => backlog.lost,
    shutdown: () => provider.shutdown(),
  }
}

function fieldsOf(line: string): AnyValueMap | undefined {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined
  } catch {
    return undefined
  }
}
