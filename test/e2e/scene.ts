import { addGateway } from './demo.ts'
import type { GatewayPlace, RunningGateway, StartGateway } from './gateway-process.ts'
import { type Answer, type Call, send } from './http.ts'
import type { TestIssuer } from './issuer.ts'
import { startDemo } from './prepared.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import type { Warder } from './warder.ts'

/** Everything that a gateway test needs, all of it real. */
export interface Scene {
  readonly warder: Warder
  readonly upstream: Upstream
  readonly issuer: TestIssuer
  readonly gateway: RunningGateway
  /** Id of the release that is active at first. */
  readonly release: string
  /** Another gateway process in the same place with its own registered key. `options` are those of `warder gateway add`. */
  addGateway(name: string, ...options: readonly string[]): Promise<RunningGateway>
  /** Sends a request through the gateway with a token for `agent` acting for `user`. */
  ask(agent: string, user: string, call: Call): Promise<Answer>
  /** Sends a request through the gateway as it is. */
  send(call: Call): Promise<Answer>
  close(): Promise<void>
}

/** Starts the API, Warder with the demo tenant, and the gateway in between. */
export async function openScene(start: StartGateway): Promise<Scene> {
  const upstream = await startUpstream()
  const { warder, issuer, release } = await startDemo()
  const running: RunningGateway[] = []
  const close = async () => {
    for (const each of running) await each.stop()
    await warder.remove()
    await upstream.close()
  }
  const open = async (name: string, ...options: readonly string[]) => {
    const place: GatewayPlace = {
      key: await addGateway(warder, name, ...options),
      decisionPort: warder.decisionPort,
      extAuthzPort: warder.extAuthzPort,
      upstreamPort: upstream.port,
    }
    const gateway = await start(place)
    running.push(gateway)
    return gateway
  }
  try {
    const gateway = await open('edge')
    return {
      warder,
      upstream,
      issuer,
      gateway,
      release,
      addGateway: open,
      async ask(agent, user, call) {
        const authorization = `Bearer ${await issuer.token(agent, user)}`
        return await send(gateway.port, { ...call, headers: { authorization, ...call.headers } })
      },
      send: (call) => send(gateway.port, call),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
