import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gatewayFolder, type StartGateway, startGateway } from './gateway-process.ts'
import { freePorts } from './ports.ts'

/** Settings of the plugin beside `url` and `gateway_key`; `is_old` is a Kong whose PDK reads no body from a file. */
export type PluginSettings = Readonly<Record<string, string | number | boolean>>

const HERE = resolve('test/e2e/kong')

/** The plugin in a real nginx with LuaJIT, under a stand-in for the part of Kong's PDK that it uses. */
export function kongPdkStarter(nginx: string, modules: string, settings: PluginSettings = {}): StartGateway {
  return async (place) => {
    const folder = gatewayFolder()
    const [port = 0] = await freePorts(1)
    const conf = {
      url: `http://127.0.0.1:${place.decisionPort}`,
      gateway_key: place.key,
      ...settings,
    }
    const filled: Readonly<Record<string, string>> = {
      FOLDER: folder,
      MODULES: modules,
      RESTY: process.env['LUA_RESTY_HTTP'] ?? HERE,
      LUA: HERE,
      PLUGIN: resolve('integrations/kong'),
      API_PORT: String(place.upstreamPort),
      PORT: String(port),
      CONF: JSON.stringify(conf),
    }
    const text = readFileSync(join(HERE, 'nginx.conf'), 'utf8').replace(/^(?!#)(.*)$/gm, (line) =>
      line.replace(
        /FOLDER|MODULES|RESTY|LUA(?=\/)|PLUGIN|API_PORT|PORT|CONF/g,
        (name) => filled[name] ?? name,
      ),
    )
    writeFileSync(join(folder, 'nginx.conf'), text)
    return await startGateway(nginx, ['-p', folder, '-c', join(folder, 'nginx.conf')], port, folder)
  }
}
