import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { renderKong } from '../../integrations/compose/render-kong.ts'
import { readConfig } from '../../src/config.ts'

interface Service {
  readonly image?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly networks?: readonly string[]
  readonly network_mode?: string
  readonly read_only?: boolean
  readonly security_opt?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] }
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, unknown>>
  readonly volumes: Readonly<Record<string, unknown>>
}

// Every name is used and exists; that the form is Compose's own is checked against its schema, end to end.
const document = parseDocument(readFileSync('docker-compose.yml', 'utf8'))
const compose = document.toJS() as Compose
const services = Object.entries(compose.services)

function serviceOf(name: string): Service {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`there is no service ${name}`)
  return found
}

test('the file parses without an error or a warning', () => {
  expect([...document.errors, ...document.warnings]).toEqual([])
})

describe.each(services)('%s', (_name, service) => {
  test('is on networks, with volumes and after services that exist', () => {
    for (const network of service.networks ?? []) expect(compose.networks).toHaveProperty(network)
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':')
      if (source.startsWith('./')) expect(existsSync(source)).toBe(true)
      else expect(compose.volumes).toHaveProperty(source)
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(compose.services).toHaveProperty(other)
      const hasHealth = serviceOf(other).healthcheck?.test !== undefined
      expect(condition === 'service_healthy' ? hasHealth : condition).toBeTruthy()
    }
  })

  test('can gain no privileges and says how it is known to be well', () => {
    expect(service.security_opt).toContain('no-new-privileges:true')
    expect(service.healthcheck).toBeDefined()
  })

  test('is published to this machine alone, if at all', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  })

  test('runs files that are there', () => {
    const files = (service.command ?? []).filter((word) => word.endsWith('.ts'))
    expect(files.filter((file) => !existsSync(file))).toEqual([])
  })
})

test('the server accepts its settings: what others ask on all addresses, what administrators ask on loopback', () => {
  const environment = serviceOf('warder').environment ?? {}
  const url = environment['WARDER_DATABASE_URL']?.replace(/\$\{[^}]+\}/, 'a-password')
  const config = readConfig({ ...environment, WARDER_DATABASE_URL: url })
  expect(config).toMatchObject({
    ok: true,
    value: {
      listen: { host: '0.0.0.0' },
      extAuthzListen: { host: '0.0.0.0' },
      adminListen: { host: '127.0.0.1' },
    },
  })
})

test('no secret has a default', () => {
  const text = readFileSync('docker-compose.yml', 'utf8')
  expect(text.match(/\$\{POSTGRES_PASSWORD[^}]*\}/g)).toEqual(
    Array(2).fill(`\${POSTGRES_PASSWORD:?choose one}`),
  )
})

test('the API and the databases are reached only over Envoy and Warder', () => {
  for (const name of ['upstream', 'postgres', 'valkey']) expect(serviceOf(name).ports).toBeUndefined()
  expect(compose.networks['storage']).toEqual({ internal: true })
  expect(serviceOf('envoy').networks).toEqual(['gateways'])
})

test('Kong starts with the plugin, without a database and without an admin API that others reach', () => {
  const { environment, volumes } = serviceOf('kong')
  expect(environment).toMatchObject({
    KONG_DATABASE: 'off',
    KONG_PLUGINS: 'bundled,warder',
    KONG_ADMIN_LISTEN: 'off',
    KONG_LUA_PACKAGE_PATH: '/plugin/?.lua;;',
  })
  expect(volumes).toContain('./integrations/kong:/plugin:ro')
  for (const name of ['handler', 'schema'])
    expect(existsSync(`integrations/kong/kong/plugins/warder/${name}.lua`)).toBe(true)
  const key = `wgk_${'a'.repeat(43)}`
  const places = { warder: 'warder:8180', api: 'upstream:8000' }
  expect(parse(renderKong(key, places))).toMatchObject({
    services: [{ url: 'http://upstream:8000', routes: [{ paths: ['/'], strip_path: false }] }],
    plugins: [{ name: 'warder', config: { url: 'http://warder:8180', gateway_key: key } }],
  })
  expect(() => renderKong('" evil', places)).toThrow('not a gateway key')
  expect(() => renderKong(key, { ...places, api: '"x' })).toThrow('HOST:PORT')
})
