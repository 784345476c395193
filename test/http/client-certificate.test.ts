import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTls, type WatchedTls } from '#http/tls.ts'
import { type Authority, type Credentials, newAuthority } from '../support/certificates.ts'
import { GATEWAY } from '../support/fake-decider.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

let authority: Authority
let gateway: Credentials
let folder: string
let tls: WatchedTls
const listeners: WireListener[] = []

beforeAll(async () => {
  authority = await newAuthority('Gateways')
  gateway = await authority.issue('gateway')
  const server = await authority.issue('server')
  folder = mkdtempSync(join(tmpdir(), 'warder-mtls-'))
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  tls = await openTls(
    {
      certificate: file('cert.pem', server.certificate),
      key: file('key.pem', server.key),
      clientAuthorities: file('ca.pem', authority.certificate),
    },
    { onBroken: () => undefined, onReload: () => undefined },
  )
})

afterAll(async () => {
  tls.close()
  for (const { listener } of listeners) await listener.close(0)
  rmSync(folder, { recursive: true, force: true })
})

async function ask(kind: 'decision' | 'ext-authz', { certificate, key }: Credentials, headers: object = {}) {
  const pdp = await startListener(kind, {
    tls,
    findGateway: (hash) => (hash === `x509-sha256:${gateway.sha256}` ? GATEWAY : undefined),
  })
  listeners.push(pdp)
  const status = await new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port: pdp.port, method: 'POST', path: '/v1/decide', agent: false },
        ...{ ca: authority.certificate, cert: certificate, key },
        headers: { 'content-type': 'application/json', ...headers },
      },
      (answer) => {
        answer.resume()
        answer.on('end', () => resolve(answer.statusCode))
      },
    )
    asked.on('error', reject)
    asked.end('{"agent":"a","tool":"s/t"}')
  })
  return { status, asked: pdp.decider.asked.length }
}

test.each(['decision', 'ext-authz'] as const)(
  'on the %s listener a registered client certificate is who asks, and needs no key',
  async (kind) => {
    expect(await ask(kind, gateway)).toEqual({ status: 200, asked: 1 })
  },
)

test('another certificate of the same authority connects and is nobody', async () => {
  expect(await ask('decision', await authority.issue('other'))).toEqual({ status: 401, asked: 0 })
})

test('what headers say of a certificate counts for nothing', async () => {
  const headers = { 'x-forwarded-client-cert': `Hash=${gateway.sha256}`, 'x-client-cert': gateway.sha256 }
  expect(await ask('decision', await authority.issue('other'), headers)).toEqual({ status: 401, asked: 0 })
})

test('a wrong key beside a registered certificate proves nothing', async () => {
  const headers = { authorization: 'Bearer wgk_wrong_0123456789abcdef' }
  expect(await ask('decision', gateway, headers)).toEqual({ status: 401, asked: 0 })
})
