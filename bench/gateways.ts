import { Agent, request } from 'node:http'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { findEnvoy } from '../test/e2e/binaries.ts'
import { addGateway } from '../test/e2e/demo.ts'
import { envoyStarter, type RunningGateway } from '../test/e2e/gateway-process.ts'
import { openScene } from '../test/e2e/scene.ts'
import { median, percentile } from './statistics.ts'

// npm run bench:gateways [-- --seconds N --rounds N]: what asking Warder costs a call through a real Envoy: over gRPC, over HTTP, and
// not at all, in turn on the same machine, which the client, the API, Envoy and Warder share.

const { values } = parseArgs({ options: { seconds: { type: 'string' }, rounds: { type: 'string' } } })
const SECONDS = Number(values.seconds ?? 3)
const ROUNDS = Number(values.rounds ?? 3)
const CONNECTIONS = 16
const FILTER = '- name: envoy.filters.http.ext_authz\n'
const UNASKED = [[FILTER, `${FILTER}                    disabled: true\n`]] as const

interface Round {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

const envoy = await findEnvoy(false)
const scene = await openScene(envoyStarter(envoy, 'envoy.yaml', UNASKED))
const opened: RunningGateway[] = []
try {
  const open = async (name: string, config: string): Promise<RunningGateway> => {
    const place = {
      key: await addGateway(scene.warder, name),
      decisionPort: scene.warder.decisionPort,
      extAuthzPort: scene.warder.extAuthzPort,
      upstreamPort: scene.upstream.port,
    }
    const gateway = await envoyStarter(envoy, config)(place)
    opened.push(gateway)
    return gateway
  }
  const variants = [
    { name: 'Envoy alone', port: scene.gateway.port },
    { name: 'gRPC Check', port: (await open('grpc', 'envoy-grpc.yaml')).port },
    { name: 'HTTP ext_authz', port: (await open('http', 'envoy.yaml')).port },
  ].map((variant) => ({ ...variant, rounds: [] as Round[] }))
  const authorization = `Bearer ${await scene.issuer.token('triage-bot', 'alice')}`
  for (const { port } of variants) await load(port, authorization, 1)
  for (let i = 0; i < ROUNDS; i++)
    for (const variant of variants) variant.rounds.push(await load(variant.port, authorization, SECONDS))
  print(variants)
} finally {
  for (const gateway of opened) await gateway.stop()
  await scene.close()
}

/** Keeps every connection busy for so long. @throws when an answer is not 200 */
async function load(port: number, authorization: string, seconds: number): Promise<Round> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const times: number[] = []
  const started = performance.now()
  const until = started + seconds * 1000
  const one = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path: '/repos', headers: { authorization }, agent }
      request(options, (incoming) => {
        incoming.resume().on('end', () => resolve(incoming.statusCode ?? 0))
      })
        .on('error', reject)
        .end()
    })
  const loop = async (): Promise<void> => {
    while (performance.now() < until) {
      const sent = performance.now()
      const status = await one()
      if (status !== 200) throw new Error(`the answer was ${status}`)
      times.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, loop))
  agent.destroy()
  scene.upstream.forget()
  const sorted = times.toSorted((a, b) => a - b)
  return {
    perSecond: times.length / ((performance.now() - started) / 1000),
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
  }
}

function print(variants: readonly { readonly name: string; readonly rounds: readonly Round[] }[]): void {
  const summaries = variants.map(({ name, rounds }) => ({
    name,
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
  }))
  const [alone] = summaries
  const lines = summaries.map(({ name, perSecond, p50, p99 }) => {
    const added = `${(p50 - (alone?.p50 ?? 0)).toFixed(2)} | ${(p99 - (alone?.p99 ?? 0)).toFixed(2)}`
    return `| ${name} | ${perSecond.toFixed(0)} | ${p50.toFixed(2)} | ${p99.toFixed(2)} | ${added} |`
  })
  const load = loadavg()[0]?.toFixed(1)
  process.stdout.write(
    `| | requests/s | p50 ms | p99 ms | added p50 ms | added p99 ms |\n| --- | --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`,
  )
  process.stdout.write(
    `\nmedian of ${ROUNDS} rounds of ${SECONDS} s, ${CONNECTIONS} connections, log in its default mode, load ${load}\n`,
  )
}
