import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { send } from './http.ts'
import { freePorts, until } from './ports.ts'
import { startProgram } from './process.ts'

/** What a gateway is put between. */
export interface GatewayPlace {
  readonly key: string
  readonly decisionPort: number
  readonly extAuthzPort: number
  readonly upstreamPort: number
}

/** A real gateway in front of the API. */
export interface RunningGateway {
  readonly port: number
  stop(): Promise<void>
}

/** Starts one. */
export type StartGateway = (place: GatewayPlace) => Promise<RunningGateway>

const START_MILLISECONDS = 60_000

/** nginx with integrations/nginx/warder.conf, adapted as its first lines say. */
export function nginxStarter(nginx: string): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    writeFileSync(
      join(folder, 'warder.conf'),
      adapt('integrations/nginx/warder.conf', [
        ['GATEWAY_KEY', place.key],
        ['server 127.0.0.1:8180;', `server 127.0.0.1:${place.decisionPort};`],
        ['server 127.0.0.1:8000;', `server 127.0.0.1:${place.upstreamPort};`],
        ['listen 127.0.0.1:8080;', `listen 127.0.0.1:${port};`],
      ]),
    )
    writeFileSync(join(folder, 'nginx.conf'), nginxMain(folder))
    const args = ['-p', folder, '-c', join(folder, 'nginx.conf')]
    await promisify(execFile)(nginx, [...args, '-t'])
    return await startGateway(nginx, args, port, folder)
  }
}

/**
 * Envoy with integrations/envoy/envoy.yaml or another file of that folder, adapted as its first lines say.
 *
 * @param more changes that a test makes beside these
 */
export function envoyStarter(
  envoy: string,
  config = 'envoy.yaml',
  more: readonly (readonly [string, string])[] = [],
): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    const file = join(folder, 'envoy.yaml')
    writeFileSync(
      file,
      adapt(`integrations/envoy/${config}`, [
        ['GATEWAY_KEY', place.key],
        ['port_value: 9191', `port_value: ${place.extAuthzPort}`],
        ['port_value: 8000', `port_value: ${place.upstreamPort}`],
        ['port_value: 8080', `port_value: ${port}`],
        ...more,
      ]),
    )
    await promisify(execFile)(envoy, ['--mode', 'validate', '-c', file])
    const args = ['-c', file, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'error']
    return await startGateway(envoy, args, port, folder)
  }
}

/** The text of a shipped file with each placeholder replaced. @throws when one does not occur exactly once */
export function adapt(file: string, replacements: readonly (readonly [string, string])[]): string {
  let text = readFileSync(file, 'utf8')
  for (const [from, to] of replacements) {
    if (text.split(from).length !== 2) throw new Error(`${file} must contain \`${from}\` exactly once`)
    text = text.replace(from, () => to)
  }
  return text
}

/** A new folder that the gateway and its workers can read. */
export function gatewayFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'warder-gateway-'))
  // nginx' workers run as another user.
  chmodSync(folder, 0o755)
  return folder
}

/** The main configuration of an nginx that keeps everything in `folder` and includes its `warder.conf`. */
export function nginxMain(folder: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const temporary = kinds.map((kind) => `  ${kind}_temp_path ${folder}/${kind};`).join('\n')
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events {}
http {
  access_log off;
${temporary}
  include ${folder}/warder.conf;
}
`
}

/** Starts the program in front of `port` and waits for its first answer; `folder` goes when it stops. */
export async function startGateway(
  command: string,
  args: readonly string[],
  port: number,
  folder: string,
): Promise<RunningGateway> {
  const program = startProgram(command, args)
  const stop = async () => {
    await program.end('SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    // Any answer will do, a deny included. One that has ended will not give one.
    await until(`${command} answers`, START_MILLISECONDS, async () => {
      return !program.isRunning() || (await send(port, { path: '/' })).status > 0
    })
    if (!program.isRunning()) throw new Error(`it ended: ${program.output()}`)
  } catch (error) {
    await stop()
    throw error
  }
  return { port, stop }
}
