import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openHttpWire, type Verdict } from '../wire.ts'
import { openCerbosGrpcWire } from './cerbos-grpc.ts'
import type { CerbosTenant } from './cerbos-policies.ts'
import { type Contender, inTurn } from './contender.ts'
import { freePort, startPeer } from './peer-process.ts'

const VERSION = '0.55.0'
const NAME = `cerbos-${process.platform}-${process.arch}`
const WARM_UP_REQUESTS = 3_000

/** How one Cerbos is run. */
export interface CerbosSetting {
  readonly name: string
  readonly gogc?: string
  /** Writes each decision to a file. */
  readonly audit?: boolean
  /** Whether it is asked over gRPC too. */
  readonly grpc?: boolean
}

/** The binary of Cerbos in `folder`, from the registry of npm when it is not there. @throws when it can not be had */
export function installCerbos(folder: string): string {
  const binary = join(folder, 'node_modules', '@cerbos', NAME, NAME)
  if (!existsSync(binary)) {
    const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
    execFileSync('npm', [...args, `@cerbos/${NAME}@${VERSION}`], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return binary
}

/** Version of the Cerbos that is measured. */
export const cerbosVersion = VERSION

/** Starts Cerbos with a tenant's policies from disk, as it is run on one core; its configuration goes to `folder`. */
export async function startCerbos(
  binary: string,
  folder: string,
  { calls, files, bodies }: CerbosTenant,
  { name, gogc, audit = false, grpc = false }: CerbosSetting,
): Promise<readonly Contender[]> {
  const policies = join(folder, 'policies')
  await mkdir(policies, { recursive: true })
  await Promise.all(files.map((file) => writeFile(join(policies, file.name), file.text)))
  const [port, grpcPort] = [await freePort(), await freePort()]
  const config = join(folder, 'config.json')
  await writeFile(config, JSON.stringify(configOf(folder, policies, port, grpcPort, audit)))
  const server = await startPeer(
    [binary, 'server', `--config=${config}`, '--log-level=error'],
    { GOMAXPROCS: '1', ...(gogc === undefined ? {} : { GOGC: gogc }) },
    `http://127.0.0.1:${port}/_cerbos/health`,
  )
  const shared = { pid: server.pid, calls, bodies, warmUpRequests: WARM_UP_REQUESTS, end: server.end }
  const http = openHttpWire({ port, path: '/api/check/resources', key: 'none', read: readCerbos })
  const contender = (wireName: string, open: typeof http): Contender => ({
    ...shared,
    name: wireName,
    target: { open, body: inTurn(bodies, calls) },
  })
  return [
    contender(`Cerbos HTTP${name}`, http),
    ...(grpc ? [contender(`Cerbos gRPC${name}`, openCerbosGrpcWire(grpcPort))] : []),
  ]
}

function configOf(folder: string, policies: string, port: number, grpcPort: number, audit: boolean): object {
  return {
    server: { httpListenAddr: `127.0.0.1:${port}`, grpcListenAddr: `127.0.0.1:${grpcPort}` },
    storage: { driver: 'disk', disk: { directory: policies, watchForChanges: false } },
    telemetry: { disabled: true },
    audit: audit
      ? {
          enabled: true,
          backend: 'file',
          accessLogsEnabled: false,
          decisionLogsEnabled: true,
          file: { path: join(folder, 'audit.log') },
        }
      : { enabled: false },
  }
}

function readCerbos(answer: string): Verdict {
  if (!answer.startsWith('HTTP/1.1 200 ')) return 'other'
  if (answer.includes('"EFFECT_ALLOW"')) return 'allow'
  return answer.includes('"EFFECT_DENY"') ? 'deny' : 'other'
}
