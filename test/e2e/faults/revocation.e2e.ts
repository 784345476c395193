import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TENANT, textOf } from '../demo.ts'
import { until } from '../ports.ts'
import { killAll } from '../process.ts'
import { startWarder, type Warder } from '../warder.ts'
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
