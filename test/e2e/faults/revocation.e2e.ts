import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RECEIVER, setClaims, signSet, TRANSMITTER } from '../../signals/vectors.ts'
import { makeKey } from '../../support/tokens.ts'
import { TENANT, textOf } from '../demo.ts'
import { send } from '../http.ts'
import { freePorts, until } from '../ports.ts'
import { killAll } from '../process.ts'
import { startWarder, type Warder } from '../warder.ts'
import { ask } from './fleet.ts'
import { type Admin, callAdmin, measureLag } from './revocation-lag.ts'
import { figure, openStage, type Stage } from './stage.ts'

const WITHIN_MILLISECONDS = 1_000
const AGENT = 'triage-bot'

const folder = mkdtempSync(join(tmpdir(), 'warder-revocation-'))
chmodSync(folder, 0o755)
const servers: Warder[] = []
let stage: Stage
let admin: Admin

beforeAll(async () => {
  stage = await openStage({}, { dataDir: folder })
  servers.push(stage.warder)
  for (let i = 0; i < 2; i++) servers.push(await startWarder({}, { dataDir: folder }))
  const token = textOf(await stage.warder.json('token', 'add', 'drill', '--role', 'operator'), 'token')
  admin = { port: stage.warder.adminPort, token, tenant: TENANT }
})

afterAll(async () => {
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Follows the stream of one server; gives everything that it has said so far. */
async function follow(warder: Warder, lastEventId?: string) {
  let text = ''
  const headers = {
    authorization: `Bearer ${stage.question().key}`,
    ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
  }
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    get(
      { host: '127.0.0.1', port: warder.decisionPort, path: '/v1/revocations/stream', headers },
      resolve,
    ).on('error', reject)
  })
  incoming.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  incoming.on('error', () => undefined)
  const events = () => text.split('\n\n').filter((part) => part.startsWith('event:'))
  const lastId = () =>
    events()
      .findLast((each) => each.includes('\nid: '))
      ?.match(/^id: (\d+)$/m)?.[1]
  return { events, lastId, close: () => incoming.destroy() }
}

test('a revocation over the admin API denies on each of three servers within a second', async () => {
  const lags: number[] = []
  for (let i = 0; i < 5; i++) lags.push(...(await measureLag(servers, admin, stage.question(), AGENT)))
  figure('revocation', { slowestMilliseconds: Math.round(Math.max(...lags)) })
  expect(Math.max(...lags)).toBeLessThan(WITHIN_MILLISECONDS)
})

test('gateways hear of it on every server, and hear what they missed when they come back', async () => {
  const streams = await Promise.all(servers.map((server) => follow(server)))
  await until('each stream begins anew', 5_000, () =>
    streams.every(({ events }) => events()[0]?.startsWith('event: reset') === true),
  )
  const left = streams[1]?.lastId()
  streams[1]?.close()
  await measureLag(servers, admin, stage.question(), AGENT)
  await until('those that stayed hear of it', WITHIN_MILLISECONDS, () =>
    [streams[0], streams[2]].every((each) =>
      each?.events().some((event) => event.includes('"kind":"agent"')),
    ),
  )
  const [, second] = servers
  if (second === undefined) throw new Error('unreachable')
  const back = await follow(second, left)
  await until('the one that came back hears of it', WITHIN_MILLISECONDS, () => {
    const [first = '', last = ''] = back.events()
    return first.startsWith('event: revoked') && last.startsWith('event: epoch')
  })
  for (const each of [...streams, back]) each.close()
})

test('after kill -9 of the database a revocation still reaches every server within a second', async () => {
  killAll(stage.warder.databasePids())
  await until('the admin API answers again', 30_000, async () => {
    return (await callAdmin(admin, 'GET', 'revocations')).status === 200
  })
  await until('every server allows again', 30_000, async () => {
    const lags = await measureLag(servers, admin, stage.question(), AGENT)
    return lags.length === servers.length
  })
  const lags = await measureLag(servers, admin, stage.question(), AGENT)
  figure('revocation-after-restart', { slowestMilliseconds: Math.round(Math.max(...lags)) })
  expect(Math.max(...lags)).toBeLessThan(WITHIN_MILLISECONDS)
})

test('a kill switch is lifted by another token than the one that set it', async () => {
  const stop = { kind: 'tool', id: 'github/list_repos', mode: 'kill', reason: 'drill' }
  const set = await callAdmin(admin, 'POST', 'revocations', stop)
  await until('it stops', WITHIN_MILLISECONDS, async () => (await stage.ask()).kind === 'revoked.stopped')
  const path = `revocations/${String(set.json['revocation'])}`
  expect(await callAdmin(admin, 'DELETE', path)).toMatchObject({
    status: 409,
    json: { code: 'revocation.same_person' },
  })
  const token = textOf(await stage.warder.json('token', 'add', 'second', '--role', 'operator'), 'token')
  expect((await callAdmin({ ...admin, token }, 'DELETE', path)).status).toBe(200)
  await until('it goes on', WITHIN_MILLISECONDS, async () => (await stage.ask()).kind === 'allow')
})

test('an event that is pushed to one server denies on all, and is answered once it is durable', async () => {
  const key = await makeKey('ES256', 'k-1')
  const file = join(folder, 'stream.json')
  writeFileSync(file, JSON.stringify({ issuer: TRANSMITTER, audience: RECEIVER, jwks: { keys: [key.jwk] } }))
  const added = await stage.warder.json('signal', 'add', 'idp', file, '--tenant', TENANT)
  const [path, authorization] = [textOf(added, 'path'), textOf(added, 'authorization')]
  const push = async (event: string, type = 'application/secevent+jwt', header = authorization) => {
    const claims = setClaims(
      event,
      { format: 'email', email: 'alice' },
      {},
      { iat: Math.floor(Date.now() / 1000) },
    )
    const body = await signSet(key, { ...claims, jti: `${event} ${Math.random()}` })
    const headers = { 'content-type': type, authorization: header }
    return await send(servers[1]?.decisionPort ?? 0, { method: 'POST', path, headers, body })
  }
  expect(await push('risc:account-disabled')).toMatchObject({ status: 202, body: '' })
  for (const { decisionPort } of servers)
    await until('it denies', WITHIN_MILLISECONDS, async () => {
      return (await ask(decisionPort, false, stage.question())).kind === 'revoked.authority'
    })
  const refused = await push('risc:account-enabled', undefined, 'Bearer wrong')
  expect([refused.status, JSON.parse(refused.body).err]).toEqual([400, 'authentication_failed'])
  expect((await push('risc:account-enabled', 'application/jwt')).status).toBe(400)
  expect((await push('risc:account-enabled')).status).toBe(202)
  await until('it allows again', WITHIN_MILLISECONDS, async () => (await stage.ask()).kind === 'allow')
})

test('a gateway is told by a signed event whose key is published, from whichever server', async () => {
  const [port = 0] = await freePorts(1)
  const bodies: string[] = []
  const server = createServer((incoming, outgoing) => {
    incoming.setEncoding('utf8').on('data', (part: string) => bodies.push(part))
    incoming.on('end', () => outgoing.writeHead(202).end())
  }).listen(port, '127.0.0.1')
  const url = `http://127.0.0.1:${port}/revoked`
  await stage.warder.cli(
    'signal',
    'receiver',
    'add',
    'edge',
    url,
    '--tenant',
    TENANT,
    '--webhook',
    '--private-network',
  )
  await callAdmin(admin, 'POST', 'revocations', { kind: 'agent', id: 'somebody', reason: 'drill' })
  await until('it is told', 10_000, () => bodies.length > 0)
  const header = JSON.parse(Buffer.from(bodies[0]?.split('.')[0] ?? '', 'base64url').toString())
  const { body } = await send(stage.warder.decisionPort, { path: '/.well-known/jwks.json' })
  expect(JSON.parse(body).keys).toMatchObject([{ kid: header.kid, alg: 'RS256', use: 'sig' }])
  expect(body).not.toContain('"d"')
  server.close()
})
