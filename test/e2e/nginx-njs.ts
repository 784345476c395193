import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { installPackage } from './binaries.ts'
import { adapt, gatewayFolder, nginxMain, type StartGateway, startGateway } from './gateway-process.ts'
import type { Optional } from './optional-binaries.ts'
import { freePorts } from './ports.ts'

const MODULE = '/usr/lib/nginx/modules/ngx_http_js_module.so'

/** nginx' module for njs, installed as root where it is missing. */
export async function findNjs(): Promise<Optional<string>> {
  if (!existsSync(MODULE) && process.getuid?.() === 0)
    await installPackage('libnginx-mod-http-js').catch(() => undefined)
  if (existsSync(MODULE)) return { found: MODULE }
  process.stderr.write('LEFT OUT: nginx with njs: the package libnginx-mod-http-js can not be had\n')
  return { missing: 'the package libnginx-mod-http-js can not be had' }
}

/** nginx with integrations/nginx/warder-njs.conf, adapted as its first lines say. */
export function njsStarter(nginx: string, module: string): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    copyFileSync('integrations/nginx/warder-njs.js', join(folder, 'warder-njs.js'))
    writeFileSync(
      join(folder, 'warder.conf'),
      adapt('integrations/nginx/warder-njs.conf', [
        ['js_path /etc/nginx/njs;', `js_path ${folder};`],
        ['"GATEWAY_KEY"', `"${place.key}"`],
        ['http://127.0.0.1:8180/forward-auth', `http://127.0.0.1:${place.decisionPort}/forward-auth`],
        ['server 127.0.0.1:8000;', `server 127.0.0.1:${place.upstreamPort};`],
        ['listen 127.0.0.1:8080;', `listen 127.0.0.1:${port};`],
      ]),
    )
    const main = join(folder, 'nginx.conf')
    writeFileSync(main, `load_module ${resolve(module)};\n${nginxMain(folder)}`)
    const args = ['-p', folder, '-c', main]
    await promisify(execFile)(nginx, [...args, '-t'])
    return await startGateway(nginx, args, port, folder)
  }
}
