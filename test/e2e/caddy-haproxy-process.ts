import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { adapt, gatewayFolder, type StartGateway, startGateway } from './gateway-process.ts'
import { freePorts } from './ports.ts'

const run = promisify(execFile)

/** Caddy with integrations/caddy/Caddyfile, adapted as its first lines say. */
export function caddyStarter(caddy: string): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    const file = join(folder, 'Caddyfile')
    writeFileSync(
      file,
      adapt('integrations/caddy/Caddyfile', [
        ['GATEWAY_KEY', place.key],
        ['reverse_proxy 127.0.0.1:8180 ', `reverse_proxy 127.0.0.1:${place.decisionPort} `],
        ['reverse_proxy 127.0.0.1:8000', `reverse_proxy 127.0.0.1:${place.upstreamPort}`],
        ['http://:8080', `http://:${port}`],
      ]),
    )
    const args = ['--config', file, '--adapter', 'caddyfile']
    await run(caddy, ['validate', ...args])
    return await startGateway(caddy, ['run', ...args], port, folder)
  }
}

/** HAProxy with integrations/haproxy/haproxy.cfg and warder.lua, adapted as their first lines say. */
export function haproxyStarter(
  haproxy: string,
  lua = resolve('integrations/haproxy/warder.lua'),
): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(
      file,
      adapt('integrations/haproxy/haproxy.cfg', [
        ['/etc/haproxy/warder.lua', lua],
        ['GATEWAY_KEY', place.key],
        ['http://127.0.0.1:8180', `http://127.0.0.1:${place.decisionPort}`],
        ['server api 127.0.0.1:8000', `server api 127.0.0.1:${place.upstreamPort}`],
        ['bind 127.0.0.1:8080', `bind 127.0.0.1:${port}`],
      ]),
    )
    await run(haproxy, ['-c', '-f', file])
    return await startGateway(haproxy, ['-db', '-f', file], port, folder)
  }
}
