import { describe, expect, test } from 'vitest'
import { readTelemetrySettings } from '#telemetry/settings.ts'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.test:4318/' }

describe('the settings of telemetry', () => {
  test.each([
    ['nothing is set', {}],
    ['everything is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_SERVICE_NAME: '' }],
    ['no endpoint is set', { OTEL_SERVICE_NAME: 'pdp', OTEL_TRACES_SAMPLER: 'always_on' }],
    ['it is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
    ['no signal is wanted', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' }],
  ])('nothing is exported when %s', (_case, env) => {
    expect(readTelemetrySettings(env)).toBeUndefined()
  })

  test('the common endpoint gets the path of the signal, one of its own is taken as it is', () => {
    const own = { ...ENDPOINT, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'https://logs.test/in' }
    expect(readTelemetrySettings(own)).toMatchObject({
      traces: { url: 'http://collector.test:4318/v1/traces', headers: {}, timeoutMilliseconds: 10_000 },
      logs: { url: 'https://logs.test/in' },
      resource: { 'service.name': 'warder' },
      sampler: { ratio: 1, parentBased: true },
      spanQueueMax: 2_048,
      warnings: [],
    })
  })

  test('headers, resource and service name are read', () => {
    const settings = readTelemetrySettings({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x, a = 1=2',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=3',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=prod',
      OTEL_SERVICE_NAME: 'pdp',
    })
    expect(settings?.traces?.headers).toEqual({ authorization: 'Bearer x', a: '3' })
    expect(settings?.logs?.headers).toEqual({ authorization: 'Bearer x', a: '1=2' })
    expect(settings?.resource).toEqual({ 'service.name': 'pdp', 'deployment.environment.name': 'prod' })
  })

  test.each([
    ['always_off', undefined, { ratio: 0, parentBased: false }],
    ['traceidratio', '0.25', { ratio: 0.25, parentBased: false }],
    ['parentbased_traceidratio', '0', { ratio: 0, parentBased: true }],
    ['parentbased_always_off', undefined, { ratio: 0, parentBased: true }],
  ])('the sampler %s is understood', (name, argument, expected) => {
    const env = { ...ENDPOINT, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument }
    expect(readTelemetrySettings(env)).toMatchObject({ sampler: expected, warnings: [] })
  })

  test.each([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /`grpc` is not spoken/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://user:hunter2@x' }, /not an http or https URL/],
    [{ OTEL_TRACES_SAMPLER: 'xray' }, /`xray` is not known/],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, /must be 0 to 1/],
    [{ OTEL_BSP_MAX_QUEUE_SIZE: '-1' }, /must be a whole number/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=%zz' }, /not `name=value`/],
  ])('%j is a warning without a secret, never a reason not to start', (env, expected) => {
    const settings = readTelemetrySettings({ ...ENDPOINT, ...env })
    expect(settings?.warnings.join('\n')).toMatch(expected)
    expect(settings?.warnings.join('\n')).not.toContain('hunter2')
  })
})
