import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addGateway, pushDemo, TENANT } from './demo.ts'
import { send } from './http.ts'
import { createIssuer, type TestIssuer } from './issuer.ts'
import { until } from './ports.ts'
import { startWarder, type Warder } from './warder.ts'

/** For hangs; it takes a notification, or half a second. */
const REACHED_WITHIN_MILLISECONDS = 20_000

const folder = mkdtempSync(join(tmpdir(), 'warder-rotation-'))
chmodSync(folder, 0o755)
const servers: Warder[] = []
let issuer: TestIssuer
let key = ''

/** Two servers on one database, and an issuer that rotates. */
beforeAll(async () => {
  const first = await startWarder({}, { dataDir: folder })
  servers.push(first, await startWarder({}, { dataDir: folder }))
  issuer = await createIssuer()
  const file = join(folder, 'issuer.json')
  const claims = { tenant: 'tenant', session: 'sid' }
  writeFileSync(file, JSON.stringify({ ...issuer.document, claims, rotation: true }))
  await first.cli('registry', 'import', 'policies/examples/demo/registry.json', '--tenant', TENANT)
  await first.cli('issuer', 'add', file, '--tenant', TENANT)
  await pushDemo(first, {}, '--activate')
  key = await addGateway(first, 'edge')
  const token = await tokenOf('warm-up', 10)
  await until('both answer', 30_000, async () =>
    (await reasons(token)).every((each) => each === 'policy.permit'),
  )
})

afterAll(async () => {
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A token of `session` that was issued `age` seconds ago. */
function tokenOf(session: string, age: number): Promise<string> {
  const iat = Math.floor(Date.now() / 1000) - age
  return issuer.token('triage-bot', 'alice', { sid: session, iat, exp: iat + 900 })
}

async function reasonAt({ decisionPort }: Warder, token: string): Promise<string> {
  const { headers } = await send(decisionPort, {
    path: '/forward-auth',
    headers: {
      authorization: `Bearer ${token}`,
      'x-warder-gateway-key': key,
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/repos',
    },
  })
  return headers['x-warder-reason'] ?? 'none'
}

const reasons = (token: string) => Promise.all(servers.map((server) => reasonAt(server, token)))

test('an older token denies on a server that never saw the newer one', async () => {
  const [here, there] = servers
  if (here === undefined || there === undefined) throw new Error('two servers are needed')
  for (let i = 0; i < 5; i++) {
    const session = `session-${i}`
    const [old, fresh] = await Promise.all([tokenOf(session, 100), tokenOf(session, 50)])
    expect(await reasonAt(there, old)).toBe('policy.permit')
    expect(await reasonAt(here, fresh)).toBe('policy.permit')
    await until('the older one denies', REACHED_WITHIN_MILLISECONDS, async () => {
      return (await reasonAt(there, old)) === 'token.superseded'
    })
    expect(await reasonAt(there, fresh)).toBe('policy.permit')
  }
})

test('a server that starts knows the newest tokens before it answers', async () => {
  const [old, fresh] = await Promise.all([tokenOf('restarted', 100), tokenOf('restarted', 50)])
  const [first, second] = servers
  if (first === undefined || second === undefined) throw new Error('two servers are needed')
  expect(await reasonAt(first, fresh)).toBe('policy.permit')
  await until('the other knows', REACHED_WITHIN_MILLISECONDS, async () => {
    return (await reasonAt(second, old)) === 'token.superseded'
  })
  await second.stop()
  await second.start()
  expect(await reasonAt(second, old)).toBe('token.superseded')
})
