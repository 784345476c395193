import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measureLag } from '../test/e2e/faults/revocation-lag.ts'
import { startWarder, type Warder } from '../test/e2e/warder.ts'

// How long after the administrator's answer each of three server processes denies: `node bench/revocation.ts [COUNT]`.
// The servers share one Postgres and this machine; each is asked without a pause meanwhile.

const SERVERS = 3
const COUNT_DEFAULT = 200
const WARM_UP = 5
const LISTING = { agent: 'triage-bot', user: 'alice', tool: 'github/list_repos' }

const folder = mkdtempSync(join(tmpdir(), 'warder-bench-'))
chmodSync(folder, 0o755)
const servers: Warder[] = []
try {
  for (let i = 0; i < SERVERS; i++) servers.push(await startWarder({}, { dataDir: folder }))
  const lags = await measure(Number(process.argv[2] ?? COUNT_DEFAULT))
  const sorted = lags.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1)
  console.log(JSON.stringify({ samples: lags.length, p50: at(0.5), p99: at(0.99), max: at(1), unit: 'ms' }))
} finally {
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function measure(count: number): Promise<readonly number[]> {
  const [first] = servers
  if (first === undefined) throw new Error('no server')
  const { token } = JSON.parse(
    JSON.stringify(await first.json('token', 'add', 'bench', '--role', 'operator')),
  )
  const { gatewayKey } = JSON.parse(readFileSync(join(folder, 'demo.json'), 'utf8'))
  const admin = { port: first.adminPort, token: String(token), tenant: 'demo' }
  const question = { key: String(gatewayKey), body: LISTING }
  const lags: number[] = []
  for (let i = 0; i < count + WARM_UP; i++) {
    const measured = await measureLag(servers, admin, question, LISTING.agent)
    if (i >= WARM_UP) lags.push(...measured)
  }
  return lags
}
