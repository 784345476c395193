import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { textOf } from './demo.ts'
import { send } from './http.ts'
import { startWarder, type Warder } from './warder.ts'

const folder = mkdtempSync(join(tmpdir(), 'warder-receivers-'))
chmodSync(folder, 0o755)
const servers: Warder[] = []
let key = ''

beforeAll(async () => {
  for (let i = 0; i < 2; i++) servers.push(await startWarder({}, { dataDir: folder }))
  await servers[0]?.cli('tenant', 'add', 'acme')
  const added = await servers[0]?.json('signal', 'receiver', 'add', 'siem', '--tenant', 'acme', '--webhook')
  key = textOf(added, 'key')
})
afterAll(async () => {
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Asks one of the servers as the receiver. */
async function ask(server: number, path: string, body: object) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const port = servers[server]?.decisionPort ?? 0
  const answer = await send(port, { method: 'POST', path, headers, body: JSON.stringify(body) })
  return { status: answer.status, json: answer.body === '' ? undefined : JSON.parse(answer.body) }
}

test('an event that one server queued is fetched from another, again after it was killed, and never after it was acknowledged', async () => {
  const [first, second] = servers
  if (first === undefined || second === undefined) throw new Error('no servers')
  const made = await ask(1, '/v1/ssf/stream', {})
  expect(made.status).toBe(201)
  const path = `/v1/ssf/poll/${made.json.stream_id}`
  await first.cli('revoke', 'agent', 'bot', '--tenant', 'acme', '--reason', 'drill')
  const found = await ask(1, path, {})
  const [id = '', set] = Object.entries<string>(found.json.sets)[0] ?? []
  const keys = JSON.parse((await send(first.decisionPort, { path: '/.well-known/jwks.json' })).body)
  const { payload } = await jwtVerify(set ?? '', createLocalJWKSet(keys))
  expect(payload).toMatchObject({ jti: id, aud: made.json.aud, iss: made.json.iss })

  await second.kill()
  await second.start()
  const again = await ask(1, path, { returnImmediately: true })
  expect(Object.keys(again.json.sets)).toEqual([id])
  const acknowledged = await ask(0, path, { ack: [id], returnImmediately: true })
  expect(acknowledged.json).toEqual({ sets: {} })
  expect((await ask(1, path, { returnImmediately: true })).json).toEqual({ sets: {} })

  await first.cli('signal', 'receiver', 'revoke', 'siem', '--tenant', 'acme')
  for (const server of [0, 1]) expect((await ask(server, path, {})).status).toBe(401)
})
