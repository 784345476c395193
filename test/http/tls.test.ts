import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get as plainGet } from 'node:http'
import { type Agent, Agent as HttpsAgent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clientCertificate } from '#http/client-certificate.ts'
import { DEFAULT_LIMITS } from '#http/port.ts'
import { createHttpListener, type HttpListener } from '#http/server.ts'
import { openTls, type WatchedTls } from '#http/tls.ts'
import { type Authority, type Credentials, newAuthority } from '../support/certificates.ts'

let authority: Authority
let strangers: Authority
let first: Credentials
let second: Credentials
let folder: string
let tls: WatchedTls
let listener: HttpListener
let port: number
let seen: (string | undefined)[]
let broken: string[]
let reloaded: number
let clientErrors: number

beforeAll(async () => {
  authority = await newAuthority('Authority')
  strangers = await newAuthority('Strangers')
  first = await authority.issue('first')
  second = await authority.issue('second')
})

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'warder-tls-'))
  seen = []
  broken = []
  reloaded = 0
  clientErrors = 0
  place(first)
  writeFileSync(join(folder, 'ca.pem'), authority.certificate)
})

afterEach(async () => {
  tls.close()
  await listener.close(0)
  rmSync(folder, { recursive: true, force: true })
})

function place({ certificate, key }: Pick<Credentials, 'certificate' | 'key'>): void {
  writeFileSync(join(folder, 'cert.pem'), certificate)
  writeFileSync(join(folder, 'key.pem'), key)
}

async function open({ mutual = false } = {}): Promise<void> {
  const file = (name: string) => join(folder, name)
  tls = await openTls(
    {
      certificate: file('cert.pem'),
      key: file('key.pem'),
      clientAuthorities: mutual ? file('ca.pem') : undefined,
    },
    { onBroken: (cause) => broken.push(cause), onReload: () => reloaded++ },
  )
  listener = createHttpListener(
    (incoming, outgoing) => {
      seen.push(clientCertificate(incoming))
      outgoing.end('ok')
    },
    DEFAULT_LIMITS,
    () => clientErrors++,
    tls,
  )
  ;({ port } = await listener.listen('127.0.0.1', 0))
}

/** Status and the name in the server's certificate. */
function ask(options: ConnectionOptions & { agent?: Agent } = {}): Promise<readonly [number, string]> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/', ca: authority.certificate, agent: false, ...options },
      (answer) => {
        const { subject } = (answer.socket as TLSSocket).getPeerCertificate()
        answer.resume()
        answer.on('end', () => resolve([answer.statusCode ?? 0, String(subject.CN)]))
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}

test('a listener with a certificate speaks TLS 1.3 and 1.2, nothing older and nothing plain', async () => {
  await open()
  expect(await ask()).toEqual([200, 'first'])
  expect(await ask({ maxVersion: 'TLSv1.2' })).toEqual([200, 'first'])
  await expect(ask({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow()
  const plain = await new Promise((resolve) => {
    plainGet({ host: '127.0.0.1', port, agent: false }, (answer) => resolve(answer.statusCode)).on(
      'error',
      (error: NodeJS.ErrnoException) => resolve(error.code),
    )
  })
  expect(plain).toBe('ECONNRESET')
  expect(clientErrors).toBeGreaterThan(0)
})

describe('with client authorities', () => {
  test('who has a certificate of theirs is answered', async () => {
    await open({ mutual: true })
    const { certificate: cert, key, sha256 } = await authority.issue('client')
    expect(await ask({ cert, key })).toEqual([200, 'first'])
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1, ca: authority.certificate, cert, key })
    for (let i = 0; i < 2; i++) expect(await ask({ agent })).toEqual([200, 'first'])
    agent.destroy()
    expect(seen).toEqual([sha256, sha256, sha256])
  })

  test('a certificate that the listener did not ask for is none', async () => {
    await open()
    const { certificate: cert, key } = await authority.issue('client')
    expect(await ask({ cert, key })).toEqual([200, 'first'])
    expect(seen).toEqual([undefined])
  })

  test.each([
    ['nobody without a certificate', () => ({})],
    ['nobody with one of another authority', async () => await strangers.issue('client')],
    ['nobody with one that has expired', async () => await authority.issue('client', { expired: true })],
  ])('%s', async (_who, credentials) => {
    await open({ mutual: true })
    const { certificate: cert, key } = { certificate: undefined, key: undefined, ...(await credentials()) }
    await expect(ask({ cert, key })).rejects.toThrow()
  })

  test('a session of before is not resumed after its authority was removed', async () => {
    await open({ mutual: true })
    const { certificate: cert, key } = await authority.issue('client')
    const options = { host: '127.0.0.1', port, ca: authority.certificate, cert, key }
    const session = await sessionOf(options)
    expect(await resumed(options, session)).toBe('resumed')
    writeFileSync(join(folder, 'ca.pem'), strangers.certificate)
    await tls.reload()
    expect(await resumed(options, session)).not.toBe('resumed')
    await expect(ask({ cert, key })).rejects.toThrow()
  })
})

describe('a new certificate', () => {
  test('is used for new connections, and open ones stay open', async () => {
    await open()
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1, ca: authority.certificate })
    expect(await ask({ agent })).toEqual([200, 'first'])
    place(second)
    await tls.reload()
    expect(reloaded).toBe(1)
    expect(await ask()).toEqual([200, 'second'])
    expect(await ask({ agent })).toEqual([200, 'first'])
    agent.destroy()
  })

  test('is found without being told', async () => {
    await open()
    place(second)
    await expect.poll(async () => (await ask())[1], { timeout: 10_000, interval: 200 }).toBe('second')
  })

  test('that can not be used leaves the one before in use, and is reported once without a path or a key', async () => {
    await open()
    const cases: readonly (readonly [Pick<Credentials, 'certificate' | 'key'>, string])[] = [
      [{ ...second, key: first.key }, 'the certificate and the key can not be used together'],
      [{ ...second, certificate: '' }, 'the certificate file holds no certificate'],
      [
        { ...second, certificate: second.certificate.replace(/MII./, 'AAAA') },
        'a certificate can not be parsed',
      ],
      [{ ...second, key: 'secret' }, 'the certificate and the key can not be used together'],
      [await authority.issue('old', { expired: true }), 'the certificate has expired'],
    ]
    for (const [files, cause] of cases) {
      place(files)
      broken.length = 0
      await tls.reload()
      await tls.reload()
      expect(broken).toHaveLength(1)
      expect(broken[0]).toContain(cause)
      expect(broken[0]).not.toContain(folder)
      expect(await ask()).toEqual([200, 'first'])
    }
    rmSync(join(folder, 'key.pem'))
    await tls.reload()
    expect(broken.at(-1)).toBe('the file with the key can not be read (ENOENT)')
    expect(await ask()).toEqual([200, 'first'])
    place(second)
    await tls.reload()
    expect(await ask()).toEqual([200, 'second'])
  })
})

test('a listener does not start with files that can not be used', async () => {
  writeFileSync(join(folder, 'ca.pem'), 'no certificate')
  await expect(open({ mutual: true })).rejects.toThrow('the file of client authorities holds no certificate')
  place({ ...second, key: first.key })
  await expect(open()).rejects.toThrow('the certificate and the key can not be used together')
})

function sessionOf(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(options)
    socket.on('error', reject)
    socket.on('session', (session) => {
      resolve(session)
      socket.destroy()
    })
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
  })
}

function resumed(options: ConnectionOptions, session: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ ...options, session })
    socket.on('error', () => resolve('refused'))
    socket.on('close', () => resolve('refused'))
    socket.on('data', () => {
      resolve(socket.isSessionReused() ? 'resumed' : 'new')
      socket.destroy()
    })
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
  })
}
