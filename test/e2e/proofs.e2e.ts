import { writeFileSync } from 'node:fs'
import type { OutgoingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Authority, type Credentials, newAuthority } from '../support/certificates.ts'
import { dpopProof, type ProofKey, proofKey, x5t } from '../support/proofs.ts'
import { adapt, envoyStarter, gatewayFolder, nginxStarter, type StartGateway } from './gateway-process.ts'
import { freePorts, until } from './ports.ts'
import { startProgram } from './process.ts'
import { openScene, type Scene } from './scene.ts'

const NGINX = 'integrations/nginx/warder.conf'
const ENVOY = 'integrations/envoy/envoy.yaml'
const now = () => Math.floor(Date.now() / 1000)

let authority: Authority
let server: Credentials
let client: Credentials
let other: Credentials
beforeAll(async () => {
  authority = await newAuthority('clients')
  server = await authority.issue('localhost')
  client = await authority.issue('client')
  other = await authority.issue('other')
})

/** Registers where the gateway is and waits until the server knows. */
async function register(
  scene: Scene,
  flags: readonly string[],
  isKnown: () => Promise<boolean>,
): Promise<void> {
  await scene.warder.cli('gateway', 'set', 'edge', '--tenant', 'demo', ...flags)
  await until('the registration counts', 30_000, isKnown)
}

describe.each([
  ['nginx', (): StartGateway => nginxStarter(inject('nginx'))],
  ['Envoy', (): StartGateway => envoyStarter(inject('envoy'))],
])('DPoP through a real %s', (_name, start) => {
  let scene: Scene
  let key: ProofKey
  let token: string
  let htu: string
  beforeAll(async () => {
    scene = await openScene(start())
    key = await proofKey()
    token = await scene.issuer.token('triage-bot', 'alice', { cnf: { jkt: key.jkt } })
    htu = `http://127.0.0.1:${scene.gateway.port}/repos`
    const url = ['--external-url', `http://127.0.0.1:${scene.gateway.port}`]
    await register(scene, url, async () => (await ask(await proof())).status === 200)
  })
  afterAll(() => scene.close())
  beforeEach(() => scene.upstream.forget())

  const proof = (claims: object = {}) => dpopProof(key, token, { htm: 'GET', htu, iat: now(), ...claims })
  const ask = (dpop: string | readonly string[] | undefined, scheme = 'DPoP') =>
    scene.send({
      path: '/repos?page=1',
      headers: { authorization: `${scheme} ${token}`, ...(dpop !== undefined && { dpop: [dpop].flat() }) },
    })
  const expectDenied = async (answer: Awaited<ReturnType<typeof ask>>, reason: string, error: string) => {
    expect(answer.body).toContain(reason)
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toMatch(new RegExp(`^DPoP .*error="${error}".*algs="ES256`))
    expect(scene.upstream.received).toEqual([])
  }

  test('a proof is good once', async () => {
    const once = await proof()
    expect((await ask(once)).status).toBe(200)
    scene.upstream.forget()
    await expectDenied(await ask(once), 'pop.replayed', 'invalid_dpop_proof')
  })

  test('a bound token is worth nothing without a proof, or as Bearer', async () => {
    await expectDenied(await ask(undefined), 'pop.missing', 'invalid_dpop_proof')
    await expectDenied(await ask(await proof(), 'Bearer'), 'pop.scheme', 'invalid_token')
  })

  test('two proofs are never one', async () => {
    const answer = await ask([await proof(), await proof()])
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(scene.upstream.received).toEqual([])
  })

  test.each([
    ['another method', { htm: 'POST' }],
    ['another path', { htu: 'http://127.0.0.1/other' }],
    ['another host', { htu: 'https://evil.example/repos' }],
  ])('a proof for %s denies', async (_what, claims) => {
    await expectDenied(await ask(await proof(claims)), 'pop.request', 'invalid_dpop_proof')
  })

  test('a host that the client claims does not become that of the proof', async () => {
    const dpop = await proof({ htu: 'http://evil.example/repos' })
    const headers = {
      authorization: `DPoP ${token}`,
      dpop,
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
    }
    const answer = await scene.send({ path: '/repos', headers })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(scene.upstream.received).toEqual([])
  })

  test('a certificate header that the client writes denies', async () => {
    for (const name of ['x-forwarded-client-cert', 'x-ssl-client-cert', 'client-cert']) {
      const headers = { authorization: `DPoP ${token}`, dpop: await proof(), [name]: `Hash=${client.sha256}` }
      const { status } = await scene.send({ path: '/repos', headers })
      // Envoy removes the first one itself and tells nobody of the others.
      if (status === 200) expect(_name).toBe('Envoy')
      else expect(status).toBe(401)
    }
  })
})

/** A request over TLS with a client certificate. */
function sendTls(
  port: number,
  credentials: Credentials | undefined,
  headers: OutgoingHttpHeaders,
): Promise<number> {
  const own = credentials && { cert: credentials.certificate, key: credentials.key }
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/repos', headers, agent: false }
    const tls = { ...own, ca: authority.certificate, servername: 'localhost' }
    const outgoing = request({ ...options, ...tls }, (incoming) => {
      incoming.resume()
      incoming.on('end', () => resolve(incoming.statusCode ?? 0))
    })
    outgoing.setTimeout(10_000, () => outgoing.destroy(new Error('no answer in time')))
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** Certificate files in a gateway's folder. */
function files(folder: string): { readonly cert: string; readonly key: string; readonly ca: string } {
  const paths = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), ca: join(folder, 'ca.pem') }
  writeFileSync(paths.cert, server.certificate)
  writeFileSync(paths.key, server.key)
  writeFileSync(paths.ca, authority.certificate)
  return paths
}

/** The shipped nginx configuration behind TLS, passing the client's certificate on. */
function tlsNginx(nginx: string): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    const { cert, key, ca } = files(folder)
    const conf = adapt(NGINX, [
      ['GATEWAY_KEY', place.key],
      ['server 127.0.0.1:8180;', `server 127.0.0.1:${place.decisionPort};`],
      ['server 127.0.0.1:8000;', `server 127.0.0.1:${place.upstreamPort};`],
      [
        'listen 127.0.0.1:8080;',
        `listen 127.0.0.1:${port} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key};
         ssl_client_certificate ${ca}; ssl_verify_client optional;`,
      ],
      [
        'proxy_set_header X-Original-URL       "";',
        `proxy_set_header X-Original-URL ""; proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
         proxy_set_header X-SSL-Client-Verify $ssl_client_verify;`,
      ],
    ])
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    const paths = temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')
    const main = `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
      http { access_log off; ${paths} ${conf} }`
    writeFileSync(join(folder, 'nginx.conf'), main)
    return await startTls(nginx, ['-p', folder, '-c', join(folder, 'nginx.conf')], port)
  }
}

/** The shipped Envoy configuration behind TLS, writing its own X-Forwarded-Client-Cert. */
function tlsEnvoyWithHeader(envoy: string): StartGateway {
  return tlsEnvoy(envoy, ENVOY, [
    [
      'use_remote_address: true',
      `use_remote_address: true
                forward_client_cert_details: SANITIZE_SET
                set_current_client_cert_details: { cert: true, uri: true, subject: true }`,
    ],
  ])
}

/** A shipped Envoy configuration behind TLS. */
function tlsEnvoy(
  envoy: string,
  shipped: string,
  more: readonly (readonly [string, string])[] = [],
): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    const { cert, key, ca } = files(folder)
    const tls = {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      common_tls_context: {
        tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
        validation_context: { trusted_ca: { filename: ca } },
      },
    }
    const socket = JSON.stringify({ name: 'envoy.transport_sockets.tls', typed_config: tls })
    const config = adapt(shipped, [
      ['GATEWAY_KEY', place.key],
      ['port_value: 9191', `port_value: ${place.extAuthzPort}`],
      ['port_value: 8000', `port_value: ${place.upstreamPort}`],
      ['port_value: 8080', `port_value: ${port}`],
      ['        - filters:\n', `        - transport_socket: ${socket}\n          filters:\n`],
      ...more,
    ])
    const file = join(folder, 'envoy.yaml')
    writeFileSync(file, config)
    const args = ['-c', file, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'error']
    return await startTls(envoy, args, port)
  }
}

async function startTls(command: string, args: readonly string[], port: number) {
  const program = startProgram(command, args)
  const stop = async () => {
    await program.end('SIGTERM')
  }
  await until(`${command} answers`, 60_000, async () => {
    return !program.isRunning() || (await sendTls(port, undefined, {}).catch(() => 0)) > 0
  })
  if (!program.isRunning()) throw new Error(`it ended: ${program.output()}`)
  return { port, stop }
}

describe.each([
  ['nginx', 'nginx', () => tlsNginx(inject('nginx'))],
  ['Envoy', 'xfcc', () => tlsEnvoyWithHeader(inject('envoy'))],
  ['Envoy over gRPC', 'envoy', () => tlsEnvoy(inject('envoy'), 'integrations/envoy/envoy-grpc.yaml')],
] as const)('mutual TLS through a real %s', (_name, source, start) => {
  let scene: Scene
  let bound: OutgoingHttpHeaders
  beforeAll(async () => {
    scene = await openScene(start())
    const cnf = { 'x5t#S256': x5t(client.certificate) }
    bound = { authorization: `Bearer ${await scene.issuer.token('triage-bot', 'alice', { cnf })}` }
    const flags = ['--certificate-source', source]
    await register(scene, flags, async () => (await sendTls(scene.gateway.port, client, bound)) === 200)
  })
  afterAll(() => scene.close())
  beforeEach(() => scene.upstream.forget())

  test('a token that is bound to the certificate is good with it', async () => {
    expect(await sendTls(scene.gateway.port, client, bound)).toBe(200)
  })

  test('it is worth nothing with another certificate, or without one', async () => {
    expect(await sendTls(scene.gateway.port, other, bound)).toBe(401)
    expect(await sendTls(scene.gateway.port, undefined, bound)).toBe(401)
    expect(scene.upstream.received).toEqual([])
  })

  test('a certificate header that the client writes does not help', async () => {
    const escaped = encodeURIComponent(client.certificate)
    for (const forged of [
      { 'x-forwarded-client-cert': `Hash=${client.sha256}` },
      { 'x-forwarded-client-cert': `Cert="${escaped}"` },
      { 'x-ssl-client-cert': escaped, 'x-ssl-client-verify': 'SUCCESS' },
      { x_ssl_client_cert: escaped },
      {
        'client-cert': `:${Buffer.from(client.certificate.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64').toString('base64')}:`,
      },
    ])
      for (const credentials of [other, undefined])
        expect(
          await sendTls(scene.gateway.port, credentials, { ...bound, ...forged }),
        ).toBeGreaterThanOrEqual(400)
    expect(scene.upstream.received).toEqual([])
  })
})
