/** Where one signal goes. */
export interface SignalSettings {
  readonly url: string
  /** May hold credentials: never shown. */
  readonly headers: { readonly [name: string]: string }
  readonly timeoutMilliseconds: number
}

/** How traces are chosen. A `ratio` counts for those that begin here. */
export interface SamplerSettings {
  readonly ratio: number
  /** Whether a caller that has decided already is followed. */
  readonly parentBased: boolean
}

/** What the standard variables of OpenTelemetry say, as far as they concern this server. */
export interface TelemetrySettings {
  readonly traces: SignalSettings | undefined
  readonly logs: SignalSettings | undefined
  readonly resource: { readonly [name: string]: string }
  readonly sampler: SamplerSettings
  /** Rows of a queue that waits for the collector. */
  readonly spanQueueMax: number
  readonly spanDelayMilliseconds: number
  readonly logQueueMax: number
  readonly logDelayMilliseconds: number
  /** What was not understood, for the operator; it is never a reason not to start. */
  readonly warnings: readonly string[]
}

type Env = Readonly<Record<string, string | undefined>>
type Warn = (text: string) => void

const SAMPLERS: { readonly [name: string]: { readonly always?: number; readonly parentBased: boolean } } = {
  always_on: { always: 1, parentBased: false },
  always_off: { always: 0, parentBased: false },
  traceidratio: { parentBased: false },
  parentbased_always_on: { always: 1, parentBased: true },
  parentbased_always_off: { always: 0, parentBased: true },
  parentbased_traceidratio: { parentBased: true },
}

/**
 * Reads `OTEL_*` from an environment. Undefined when nothing is to be exported: no endpoint is set, or
 * `OTEL_SDK_DISABLED` is true.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export function readTelemetrySettings(env: Env): TelemetrySettings | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined
  const warnings: string[] = []
  const warn: Warn = (text) => void warnings.push(text)
  const traces = signalOf(env, 'TRACES', warn)
  const logs = signalOf(env, 'LOGS', warn)
  if (traces === undefined && logs === undefined && warnings.length === 0) return undefined
  return {
    traces,
    logs,
    resource: {
      'service.name': 'warder',
      ...pairsOf(env, 'OTEL_RESOURCE_ATTRIBUTES', warn),
      ...(isSet(env['OTEL_SERVICE_NAME']) && { 'service.name': env['OTEL_SERVICE_NAME'] }),
    },
    sampler: samplerOf(env, warn),
    spanQueueMax: numberOf(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2_048, warn),
    spanDelayMilliseconds: numberOf(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000, warn),
    logQueueMax: numberOf(env, 'OTEL_BLRP_MAX_QUEUE_SIZE', 2_048, warn),
    logDelayMilliseconds: numberOf(env, 'OTEL_BLRP_SCHEDULE_DELAY', 1_000, warn),
    warnings,
  }
}

function signalOf(env: Env, signal: 'TRACES' | 'LOGS', warn: Warn): SignalSettings | undefined {
  if (env[`OTEL_${signal}_EXPORTER`]?.toLowerCase() === 'none') return undefined
  const own = `OTEL_EXPORTER_OTLP_${signal}_`
  const url = urlOf(env, signal, warn)
  if (url === undefined) return undefined
  const protocol = [env[`${own}PROTOCOL`], env['OTEL_EXPORTER_OTLP_PROTOCOL']].find(isSet) ?? 'http/json'
  if (!protocol.startsWith('http/')) {
    warn(`OTEL_EXPORTER_OTLP_PROTOCOL: \`${protocol}\` is not spoken, nothing is exported; use http/json`)
    return undefined
  }
  const timeout = isSet(env[`${own}TIMEOUT`]) ? `${own}TIMEOUT` : 'OTEL_EXPORTER_OTLP_TIMEOUT'
  return {
    url,
    headers: {
      ...pairsOf(env, 'OTEL_EXPORTER_OTLP_HEADERS', warn),
      ...pairsOf(env, `${own}HEADERS`, warn),
    },
    timeoutMilliseconds: numberOf(env, timeout, 10_000, warn),
  }
}

/** The endpoint of one signal is taken as it is; the common one gets the path of the signal. */
function urlOf(env: Env, signal: 'TRACES' | 'LOGS', warn: Warn): string | undefined {
  const own = env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]
  const common = env['OTEL_EXPORTER_OTLP_ENDPOINT']
  if (!isSet(own) && !isSet(common)) return undefined
  const url = isSet(own) ? own : `${common?.replace(/\/+$/, '')}/v1/${signal.toLowerCase()}`
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url
  // Not the value: a URL can hold a password.
  warn(`the OTLP endpoint for ${signal.toLowerCase()} is not an http or https URL, nothing is exported`)
  return undefined
}

function samplerOf(env: Env, warn: Warn): SamplerSettings {
  const name = env['OTEL_TRACES_SAMPLER']
  const fallback = { ratio: 1, parentBased: true }
  if (!isSet(name)) return fallback
  const known = Object.hasOwn(SAMPLERS, name) ? SAMPLERS[name] : undefined
  if (known === undefined) {
    warn(`OTEL_TRACES_SAMPLER: \`${name}\` is not known, parentbased_always_on is used`)
    return fallback
  }
  const given = Number(env['OTEL_TRACES_SAMPLER_ARG'] || '1')
  const isRatio = given >= 0 && given <= 1
  if (known.always === undefined && !isRatio) warn('OTEL_TRACES_SAMPLER_ARG: must be 0 to 1, 1 is used')
  return { ratio: known.always ?? (isRatio ? given : 1), parentBased: known.parentBased }
}

function numberOf(env: Env, name: string, fallback: number, warn: Warn): number {
  const text = env[name]
  if (!isSet(text)) return fallback
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  warn(`${name}: must be a whole number above 0, ${fallback} is used`)
  return fallback
}

/** `name=value,name=value` with percent-encoded values. */
function pairsOf(env: Env, variable: string, warn: Warn): { readonly [name: string]: string } {
  const pairs: [string, string][] = []
  for (const part of (env[variable] ?? '').split(',').filter((text) => text.trim() !== '')) {
    const [name = '', ...rest] = part.split('=')
    const value = decoded(rest.join('=').trim())
    if (name.trim() === '' || value === undefined) warn(`${variable}: a part of it is not \`name=value\``)
    else pairs.push([name.trim(), value])
  }
  return Object.fromEntries(pairs)
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text.trim() !== ''
}
