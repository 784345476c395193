import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { parse, stringify } from 'yaml'
import type { GatewayPlace, RunningGateway, StartGateway } from './gateway-process.ts'
import { send } from './http.ts'
import { until } from './ports.ts'

/** A running Kong without a database that has the plugin. */
export interface KongServer {
  /** Where it takes requests, such as `http://127.0.0.1:8000`. */
  readonly url: string
  /** Its admin API, which takes the configuration. */
  readonly adminUrl: string
}

/** The form of integrations/kong/kong.yml. */
interface Declaration {
  readonly _format_version: string
  readonly services: readonly (object & { readonly routes: readonly object[] })[]
  readonly plugins: readonly (object & { readonly config: object })[]
}

const LOAD_MILLISECONDS = 30_000
/** By which one Kong is several gateways: each forwarder adds its own value, and each value has a route. */
const EDGE = 'x-test-edge'

/**
 * Gateways that are all this one Kong, each configured as integrations/kong/kong.yml says, with a key of its own. Each is
 * reached over a local port that adds the header which selects its route.
 */
export function kongStarter(kong: KongServer): StartGateway {
  const places = new Map<string, GatewayPlace>()
  let count = 0
  return async (place) => {
    const edge = `edge-${++count}`
    places.set(edge, place)
    await load(kong, places)
    const forwarder = await startForwarder(new URL(kong.url), edge)
    const stop = async () => {
      await forwarder.stop()
      places.delete(edge)
      await load(kong, places)
    }
    try {
      await until('Kong has the route', LOAD_MILLISECONDS, async () => {
        const { status, body } = await send(forwarder.port, { path: '/' })
        return !(status === 404 && body.includes('no Route matched'))
      })
    } catch (error) {
      await stop()
      throw error
    }
    return { port: forwarder.port, stop }
  }
}

/** Gives Kong the shipped declaration once for each place; the plugin is bound to the service of its place. */
async function load(kong: KongServer, places: ReadonlyMap<string, GatewayPlace>): Promise<void> {
  const shipped = parse(readFileSync('integrations/kong/kong.yml', 'utf8')) as Declaration
  const declarations = [...places].map(([edge, place]) => ({
    services: shipped.services.map((service) => ({
      ...service,
      name: edge,
      url: `http://127.0.0.1:${place.upstreamPort}`,
      routes: service.routes.map((route) => ({ ...route, name: edge, headers: { [EDGE]: [edge] } })),
    })),
    plugins: shipped.plugins.map((plugin) => ({
      ...plugin,
      service: edge,
      config: {
        ...plugin.config,
        url: `http://127.0.0.1:${place.decisionPort}`,
        gateway_key: place.key,
      },
    })),
  }))
  const config = stringify({
    _format_version: shipped._format_version,
    services: declarations.flatMap(({ services }) => services),
    plugins: declarations.flatMap(({ plugins }) => plugins),
  })
  const response = await fetch(new URL('/config', kong.adminUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ config }),
  })
  if (!response.ok) throw new Error(`Kong refused its configuration: ${await response.text()}`)
}

/** Passes each connection on with one header more, behind the request line of its first request. */
async function startForwarder(target: URL, edge: string): Promise<RunningGateway> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const kong = connect({ host: target.hostname, port: Number(target.port || '80'), allowHalfOpen: true })
    for (const socket of [client, kong]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {
        client.destroy()
        kong.destroy()
      })
    }
    kong.pipe(client)
    let head = Buffer.alloc(0)
    const readHead = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n')
      if (end < 0) return
      client.off('data', readHead)
      const header = Buffer.from(`\r\n${EDGE}: ${edge}`)
      kong.write(Buffer.concat([head.subarray(0, end), header, head.subarray(end)]))
      client.pipe(kong)
    }
    client.on('data', readHead)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return {
    port: address.port,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
