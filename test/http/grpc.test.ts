import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentials } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '#http/port.ts'
import { openTls } from '#http/tls.ts'
import { type Authority, newAuthority } from '../support/certificates.ts'
import { checkRequest, envoyClient } from '../support/envoy-client.ts'
import { fakeDecider, findGateway, GATEWAY, GATEWAY_KEY } from '../support/fake-decider.ts'
import { exchange } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const CHECK = '/envoy.service.auth.v3.Authorization/Check'
const HEALTH = '/grpc.health.v1.Health/Check'
const GRPC = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
const KEY = { 'x-warder-gateway-key': GATEWAY_KEY }
const EMPTY = Buffer.from([0, 0, 0, 0, 0])

interface Http2Answer {
  readonly status: number
  readonly grpc: string | undefined
  readonly body: Buffer
}

/** One HTTP/2 request without a gRPC library. `cuts` leaves the stream open. */
function ask(
  port: number,
  headers: OutgoingHttpHeaders,
  body: Uint8Array | undefined = EMPTY,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    session.on('error', reject)
    const stream = session.request(headers, { endStream: body === undefined })
    let status = 0
    let grpc: string | undefined
    const chunks: Buffer[] = []
    stream.on('response', (got) => {
      status = Number(got[':status'])
      grpc = got['grpc-status']?.toString()
    })
    stream.on('trailers', (got) => {
      grpc = got['grpc-status']?.toString()
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => undefined)
    stream.on('close', () => {
      session.close()
      resolve({ status, grpc, body: Buffer.concat(chunks) })
    })
    if (body !== undefined) stream.end(body)
  })
}

let envoy: WireListener
beforeEach(async () => {
  envoy = await startListener('ext-authz')
})
afterEach(() => envoy.listener.close(0))

describe('over HTTP/2', () => {
  // A gateway that asks over plain HTTP takes 200 for an allow, whatever a gRPC trailer says.
  test.each([
    ['a check of the HTTP dialect', { ':path': '/x', ...KEY }, 415],
    ['a health check without `te`', { ...GRPC, te: undefined, ':path': HEALTH }, 415],
    ['a GET', { ...GRPC, ':method': 'GET', ':path': CHECK }, 415],
    ['another media type', { ...GRPC, ':path': CHECK, 'content-type': 'application/grpc-web' }, 415],
    ['an unknown method', { ...GRPC, ':path': '/x.Y/Z', ...KEY }, 404],
    ['a climbing path', { ...GRPC, ':path': `/x/..${HEALTH}`, ...KEY }, 404],
    ['no key', { ...GRPC, ':path': CHECK }, 401],
    ['a deadline that is none', { ...GRPC, ':path': CHECK, ...KEY, 'grpc-timeout': 'soon' }, 400],
  ])('%s is never answered with 200', async (_what, headers, status) => {
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
    expect((await ask(envoy.port, given)).status).toBe(status)
    expect(envoy.decider.asked).toEqual([])
  })

  test.each([
    ['no message', Buffer.alloc(0), '3'],
    ['a message that ends early', Buffer.from([0, 0, 0, 0, 9, 1]), '3'],
    ['two messages', Buffer.concat([EMPTY, EMPTY]), '3'],
    ['a compressed message', Buffer.from([1, 0, 0, 0, 1, 1]), '12'],
  ])('%s is an error and decides nothing', async (_what, body, code) => {
    const answer = await ask(envoy.port, { ...GRPC, ':path': CHECK, ...KEY }, body)
    expect([answer.grpc, answer.status === 200, envoy.decider.asked.length]).toEqual([code, false, 0])
  })

  test('an empty message is a deny', async () => {
    const { grpc, body } = await ask(envoy.port, { ...GRPC, ':path': CHECK, ...KEY })
    expect(grpc).toBe('0')
    expect(body.length).toBeGreaterThan(100)
    expect(body.toString('latin1')).toContain('request.wrong_type')
  })

  test('an announced length over the limit is a deny without reading it', async () => {
    const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
    const { grpc, body } = await ask(envoy.port, { ...GRPC, ':path': CHECK, ...KEY }, head)
    expect(grpc).toBe('0')
    expect(body.toString('latin1')).toContain('request.too_large')
  })
})

describe('health', () => {
  const health = (service: string, port = envoy.port) => {
    const name = Buffer.from(service)
    const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])
    const prefix = Buffer.from([0, 0, 0, 0, message.length])
    return ask(port, { ...GRPC, ':path': HEALTH }, Buffer.concat([prefix, message]))
  }

  test.each(['', 'envoy.service.auth.v3.Authorization'])(
    'of `%s` is serving, and needs no key',
    async (service) => {
      expect((await health(service)).body).toEqual(Buffer.from([0, 0, 0, 0, 2, 8, 1]))
    },
  )

  test('of a service that is none is unknown', async () => {
    expect(await health('x.Y')).toMatchObject({ grpc: '5', status: 404 })
  })

  test('is not serving while the server can not decide', async () => {
    const unready = await startListener('ext-authz', { isReady: () => false })
    expect((await health('', unready.port)).body.at(-1)).toBe(2)
    await unready.listener.close(0)
  })
})

describe('the connection', () => {
  test('its first bytes may come one by one', async () => {
    const bytes = `GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Warder-Gateway-Key: ${GATEWAY_KEY}\r\n\r\n`
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(envoy.port, '127.0.0.1', () => {
        socket.setNoDelay(true)
        const send = (at: number): void => {
          socket.write(bytes.slice(at, at + 1))
          if (at < 5) setImmediate(send, at + 1)
          else socket.write(bytes.slice(at + 1))
        }
        send(0)
      })
      let received = ''
      socket.on('data', (chunk) => {
        received += chunk.toString()
      })
      socket.on('close', () => resolve(received))
    })
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
  })

  test.each(['PRI * HTTP/1.1\r\n\r\n', 'PRIX', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'])(
    'what only begins like HTTP/2 (%j) is cut',
    async (bytes) => {
      expect(await exchange(envoy.port, bytes, undefined, 'with the request')).not.toContain('200')
    },
  )

  test('that says nothing is closed in time', async () => {
    const quick = await startListener('ext-authz', {
      limits: { ...DEFAULT_LIMITS, headersTimeoutMilliseconds: 100 },
    })
    const closed = await new Promise((resolve) => {
      connect(quick.port, '127.0.0.1').on('close', () => resolve('closed'))
    })
    expect(closed).toBe('closed')
    await quick.listener.close(0)
  })

  test('a listener that stops lets the call under way end', async () => {
    let finish: (() => void) | undefined
    const decider = fakeDecider()
    const held = new Promise<void>((resolve) => {
      finish = resolve
    })
    const slow = await startListener('ext-authz', {
      decider: {
        ...decider,
        decide: (request, gateway) => held.then(() => decider.decide(request, gateway)),
      },
    })
    const client = envoyClient(slow.port)
    const reply = client.check(checkRequest({}), KEY)
    await expect.poll(() => slow.counts.get('in_flight')).toBe(1)
    const closed = slow.listener.close(5_000)
    finish?.()
    expect((await reply).message?.ok_response).toBeDefined()
    await closed
    client.close()
  })
})

describe('with TLS', () => {
  let folder: string
  let authority: Authority
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'warder-grpc-'))
    authority = await newAuthority('Authority')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  async function secure(asksForCertificates: boolean, gatewayCertificate = '') {
    const server = await authority.issue('server')
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const files = {
      certificate: file('cert.pem', server.certificate),
      key: file('key.pem', server.key),
      clientAuthorities: asksForCertificates ? file('ca.pem', authority.certificate) : undefined,
    }
    const tls = await openTls(files, { onReload: () => undefined, onBroken: () => undefined })
    const listener = await startListener('ext-authz', {
      tls,
      findGateway: (hash) => (hash === `x509-sha256:${gatewayCertificate}` ? GATEWAY : findGateway(hash)),
    })
    return { ...listener, close: () => listener.listener.close(0).then(() => tls.close()) }
  }

  test('ALPN chooses: gRPC and HTTP/1.1 on one port', async () => {
    const listener = await secure(false)
    const ca = Buffer.from(authority.certificate)
    const client = envoyClient(listener.port, credentials.createSsl(ca))
    expect((await client.check(checkRequest({}), KEY)).message?.ok_response).toBeDefined()
    const status = await new Promise((resolve, reject) => {
      const options = { port: listener.port, host: 'localhost', path: '/x', ca, headers: KEY, agent: false }
      httpsRequest(options, (incoming) => resolve(incoming.resume().statusCode))
        .on('error', reject)
        .end()
    })
    expect(status).toBe(200)
    client.close()
    await listener.close()
  })

  test('a client certificate stands for a gateway, and nobody connects without one', async () => {
    const own = await authority.issue('gateway')
    const listener = await secure(true, own.sha256)
    const ca = Buffer.from(authority.certificate)
    const certified = credentials.createSsl(ca, Buffer.from(own.key), Buffer.from(own.certificate))
    const client = envoyClient(listener.port, certified)
    expect((await client.check(checkRequest({}))).message?.ok_response).toBeDefined()
    const stranger = envoyClient(listener.port, credentials.createSsl(ca))
    expect((await stranger.check(checkRequest({}), KEY, 2_000)).message).toBeUndefined()
    client.close()
    stranger.close()
    await listener.close()
  })
})
