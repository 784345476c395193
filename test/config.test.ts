import { expect, test } from 'vitest'
import { renderConfiguration } from '../src/config/text.ts'
import { isLoopback } from '../src/config/unsafe-settings.ts'
import { readConfig, SETTINGS } from '../src/config.ts'

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  const config = readConfig(env)
  return config.ok ? [] : config.failure.map((p) => `${p.variable}: ${p.message} (${p.help})`)
}

test('an empty environment gives the documented defaults', () => {
  expect(readConfig({ WARDER_LISTEN: '', PATH: '/bin' })).toEqual({
    ok: true,
    value: {
      databaseUrl: undefined,
      dataDirectory: './data',
      secretKeyFile: undefined,
      engine: 'compiled',
      logMode: 'require',
      logOverflow: 'deny',
      logQueueMax: 10_000,
      listen: { host: '127.0.0.1', port: 8180 },
      adminListen: { host: '127.0.0.1', port: 8181 },
      extAuthzListen: { host: '127.0.0.1', port: 9191 },
      publicUrl: undefined,
      tlsCertificate: undefined,
      tlsKey: undefined,
      tlsListeners: ['decisions', 'admin', 'ext_authz'],
      tlsClientAuthorities: undefined,
      adminTlsClientAuthorities: undefined,
      freshnessSeconds: 10,
      pollMilliseconds: 500,
      workers: 1,
      bodyBytesMax: 1_048_576,
      requestsInFlightMax: 1000,
      shutdownGraceSeconds: 10,
      logLevel: 'info',
      demo: 'on',
    },
  })
})

test('every problem is reported at once, with a hint for a misspelt name', () => {
  expect(
    problemsOf({
      WARDER_LOGMODE: 'x',
      WARDER_LOG_MODE: 'async',
      WARDER_LISTEN: '8180',
      WARDER_COLOUR: 'red',
    }),
  ).toEqual([
    'WARDER_COLOUR: is not a setting (docs/configuration.md lists all settings)',
    'WARDER_LOGMODE: is not a setting (did you mean WARDER_LOG_MODE?)',
    'WARDER_LOG_MODE: must be `require` or `buffer` (it is `async`)',
    'WARDER_LISTEN: must be host:port, for example `127.0.0.1:8180` or `[::1]:8180` (it is `8180`)',
  ])
})

test('variables of test runs are ignored', () => {
  expect(problemsOf({ WARDER_TEST_ANYTHING: '1' })).toEqual([])
})

test('the value of a secret never appears in a problem', () => {
  const problems = problemsOf({ WARDER_DATABASE_URL: 'mysql://root:hunter2@db/x' }).join()
  expect(problems).toContain('WARDER_DATABASE_URL: must be a URL that begins with `postgres://`')
  expect(problems).not.toContain('hunter2')
})

test.each([
  ['0.0.0.0:8181', false],
  ['[::]:8181', false],
  ['pdp.example:8181', false],
  ['localhost:8181', true],
  ['[::1]:8181', true],
  ['127.9.9.9:8181', true],
])('an admin listener on %s is accepted: %s', (listen, accepted) => {
  expect(readConfig({ WARDER_ADMIN_LISTEN: listen }).ok).toBe(accepted)
})

test('two listeners on one address are refused', () => {
  expect(problemsOf({ WARDER_ADMIN_LISTEN: '127.0.0.1:8180' })).toEqual([
    'WARDER_ADMIN_LISTEN: is the same address as WARDER_LISTEN (give each listener its own)',
  ])
  expect(problemsOf({ WARDER_ADMIN_LISTEN: '127.0.0.1:0', WARDER_LISTEN: '127.0.0.1:0' })).toEqual([])
})

test('polling slower than the freshness bound is refused', () => {
  expect(problemsOf({ WARDER_POLL_MILLISECONDS: '600', WARDER_FRESHNESS_SECONDS: '1' })).toEqual([
    'WARDER_POLL_MILLISECONDS: must fit twice into WARDER_FRESHNESS_SECONDS, else a healthy server denies everything (set it to at most 500)',
  ])
})

test.each([
  ['WARDER_LOG_QUEUE_MAX', '0'],
  ['WARDER_LOG_QUEUE_MAX', '1e3'],
  ['WARDER_LOG_QUEUE_MAX', '-1'],
  ['WARDER_BODY_BYTES_MAX', '99999999999999999999'],
  ['WARDER_LISTEN', '127.0.0.1:65536'],
  ['WARDER_LISTEN', '::1:8180'],
  ['WARDER_PUBLIC_URL', 'https://user:pass@pdp.example'],
  ['WARDER_PUBLIC_URL', 'ftp://pdp.example'],
  ['WARDER_PUBLIC_URL', 'https://pdp.example/?x=1'],
])('%s=%s is refused', (variable, value) => {
  expect(problemsOf({ [variable]: value })).toHaveLength(1)
})

test('a public URL loses its final slash', () => {
  const config = readConfig({ WARDER_PUBLIC_URL: 'https://pdp.example/warder/' })
  expect(config.ok && config.value.publicUrl).toBe('https://pdp.example/warder')
})
test('only 127.0.0.0/8, ::1 and localhost are loopback', () => {
  expect(['127.0.0.1', '::1', 'localhost', '127.1.2.3'].filter(isLoopback)).toHaveLength(4)
  expect(
    ['127.0.0.1.evil.example', '0.0.0.0', '::', '10.0.0.1', 'localhost.evil'].filter(isLoopback),
  ).toEqual([])
})

test('an admin listener beyond loopback starts only when it speaks TLS', () => {
  const open = { WARDER_ADMIN_LISTEN: '0.0.0.0:8181' }
  const message =
    'WARDER_ADMIN_LISTEN: `0.0.0.0` can be reached from other machines, and this listener does not speak TLS ' +
    '(use a loopback address, or set WARDER_TLS_CERT and WARDER_TLS_KEY)'
  const tls = { WARDER_TLS_CERT: 'c.pem', WARDER_TLS_KEY: 'k.pem' }
  expect(problemsOf(open)).toEqual([message])
  expect(problemsOf({ ...open, ...tls })).toEqual([])
  expect(problemsOf({ ...open, ...tls, WARDER_TLS_LISTENERS: 'decisions, ext_authz' })).toEqual([message])
})

test('half of the TLS settings, or client authorities without TLS, are refused', () => {
  const names = (env: Record<string, string>) => problemsOf(env).map((problem) => problem.split(' (')[0])
  expect(names({ WARDER_TLS_CERT: 'c' })).toEqual([
    'WARDER_TLS_KEY: is missing, and WARDER_TLS_CERT is of no use without it',
  ])
  expect(names({ WARDER_TLS_KEY: 'k' })).toEqual([
    'WARDER_TLS_CERT: is missing, and WARDER_TLS_KEY is of no use without it',
  ])
  expect(names({ WARDER_TLS_CLIENT_CA: 'a', WARDER_ADMIN_TLS_CLIENT_CA: 'a' })).toEqual([
    'WARDER_TLS_CERT: is missing, and WARDER_TLS_CLIENT_CA is of no use without it',
    'WARDER_TLS_CERT: is missing, and WARDER_ADMIN_TLS_CLIENT_CA is of no use without it',
  ])
  expect(names({ WARDER_TLS_LISTENERS: 'decisions,all' })[0]).toContain(
    'WARDER_TLS_LISTENERS: must be some of',
  )
})

test('docs/configuration.md is what the table of settings says', async () => {
  await expect(renderConfiguration()).toMatchFileSnapshot('../docs/configuration.md')
})

test('every setting has a one-line description and a unique name', () => {
  expect(new Set(SETTINGS.map((entry) => entry.variable)).size).toBe(SETTINGS.length)
  expect(SETTINGS.filter((entry) => !entry.about.endsWith('.'))).toEqual([])
})
