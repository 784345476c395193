import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { parse } from 'yaml'
import { renderEnvoy } from '../../integrations/compose/render-envoy.ts'
import { send } from './http.ts'
import { freePorts, until } from './ports.ts'
import { type Program, startProgram } from './process.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import { startWarder, type Warder } from './warder.ts'

const run = promisify(execFile)
/** The last Python Compose, which carries the schema of the Compose specification as a file. */
const COMPOSE = 'docker-compose==1.29.2'
const SCHEMA = 'compose/config/compose_spec.json'

const folder = mkdtempSync(join(tmpdir(), 'warder-ship-'))
chmodSync(folder, 0o755)
const opened: { warder?: Warder; upstream?: Upstream; envoy?: Program } = {}

beforeAll(async () => {
  opened.warder = await startWarder()
  opened.upstream = await startUpstream()
})

afterAll(async () => {
  await opened.envoy?.end('SIGTERM')
  await opened.warder?.remove()
  await opened.upstream?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The schema, fetched once into `.cache/compose`. */
async function composeSchema(): Promise<object> {
  const cache = resolve('.cache/compose')
  const file = join(cache, SCHEMA)
  if (!existsSync(file)) {
    const pip = resolve('.cache/envoy/bin/pip')
    const tool: readonly string[] = existsSync(pip) ? [pip] : ['python3', '-m', 'pip']
    const [command = '', ...first] = tool
    await run(command, [...first, 'download', '--quiet', '--no-deps', '--dest', cache, COMPOSE])
    const wheel = join(cache, 'docker_compose-1.29.2-py2.py3-none-any.whl')
    await run('python3', ['-m', 'zipfile', '-e', wheel, cache])
  }
  // It names its parts with `id`, as older drafts did; nothing refers to them by that.
  const withoutIds = (key: string, value: unknown) =>
    key === 'id' && typeof value === 'string' ? undefined : value
  return JSON.parse(readFileSync(file, 'utf8'), withoutIds) as object
}

/** Words of the command of a service of the compose file, by the option that they follow. */
function composeOption(service: string, option: string): string {
  const { services } = parse(readFileSync('docker-compose.yml', 'utf8')) as {
    readonly services: Readonly<Record<string, { readonly command: readonly string[] }>>
  }
  const word = services[service]?.command.find((each) => each.startsWith(`--${option}=`))
  if (word === undefined) throw new Error(`${service} has no --${option}`)
  return word.slice(option.length + 3)
}

test('the compose file is valid by the JSON schema of the Compose specification', async () => {
  const schema = { ...(await composeSchema()), $schema: 'https://json-schema.org/draft/2019-09/schema' }
  const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false })
  const validate = ajv.compile(schema)
  validate(parse(readFileSync('docker-compose.yml', 'utf8')))
  expect(validate.errors).toBeNull()
  expect(validate({ services: { warder: { imagee: 'x' } } })).toBe(false)
})

test('the real Envoy accepts the configuration of the compose file, names of services included', async () => {
  const places = { listen: '', warder: '', api: '' }
  for (const option of ['listen', 'warder', 'api'] as const)
    places[option] = composeOption('envoy-config', option)
  const file = join(folder, 'compose.yaml')
  writeFileSync(file, renderEnvoy(`wgk_${'a'.repeat(43)}`, places))
  const { stdout } = await run(inject('envoy'), ['--mode', 'validate', '-c', file])
  expect(stdout).toContain('OK')
  expect(readFileSync(file, 'utf8')).toContain('address: warder, port_value: 9191')
})

test('with the key of the first start it lets nothing through without a token, and lets the answer say why', async () => {
  const { warder, upstream } = opened
  if (warder === undefined || upstream === undefined) throw new Error('not started')
  const [port = 0] = await freePorts(1)
  const file = join(folder, 'envoy.yaml')
  const given = [
    'integrations/compose/render-envoy.ts',
    `--key=${join(warder.dataDirectory, 'demo.json')}`,
    `--listen=127.0.0.1:${port}`,
    `--warder=127.0.0.1:${warder.extAuthzPort}`,
    `--api=127.0.0.1:${upstream.port}`,
    `--out=${file}`,
  ]
  await run(process.execPath, given)
  const options = ['--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'error']
  const envoy = startProgram(inject('envoy'), ['-c', file, ...options])
  opened.envoy = envoy
  await until('Envoy asks Warder', 20_000, async () => {
    if (!envoy.isRunning()) throw new Error(envoy.output())
    return (await send(port, { path: '/repos' })).status === 401
  })
  const answer = await send(port, { path: '/repos' })
  expect(answer.status).toBe(401)
  expect(answer.body).toContain('credentials.missing')
  expect(upstream.received).toEqual([])
})

test('health says that a running server is ready, in the way that containers ask it', async () => {
  expect(await opened.warder?.cli('health')).toBe('ready\n')
})

test('the key of something else than a gateway is never written into a configuration', () => {
  const places = { listen: '0.0.0.0:8080', warder: 'warder:9191', api: 'upstream:8000' }
  expect(() => renderEnvoy('" }\nadmin: {}', places)).toThrow('not a gateway key')
  const key = `wgk_${'a'.repeat(43)}`
  expect(() => renderEnvoy(key, { ...places, api: 'x, port_value: 1 }' })).toThrow('HOST:PORT')
})
