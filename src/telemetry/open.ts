import { readTelemetrySettings } from './settings.ts'
import type { Telemetry } from './telemetry.ts'

/**
 * Telemetry as the standard `OTEL_*` variables of `env` want it. Undefined without an endpoint, and then nothing of
 * OpenTelemetry is even loaded.
 */
export async function openTelemetry(
  env: Readonly<Record<string, string | undefined>>,
  version: string,
): Promise<Telemetry | undefined> {
  const settings = readTelemetrySettings(env)
  if (settings === undefined) return undefined
  const { startTelemetry } = await import('./telemetry.ts')
  return startTelemetry(settings, version)
}
