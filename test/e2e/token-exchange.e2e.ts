import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest'
import { type ExchangeServer, startExchangeServer } from '../support/exchange-server.ts'
import { addGateway, prepareDemo, pushDemo, TENANT } from './demo.ts'
import { envoyStarter, nginxStarter, type RunningGateway, type StartGateway } from './gateway-process.ts'
import { type Answer, send } from './http.ts'
import { until } from './ports.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import { startWarder, type Warder } from './warder.ts'

const AUDIENCE = 'https://repos.internal'
const EXCHANGED = `@id("reading-is-exchanged")
@obligation("{\\"type\\":\\"token_exchange\\",\\"audience\\":\\"${AUDIENCE}\\",\\"scope\\":\\"repos:read\\"}")
permit (principal is Warder::Agent, action == Warder::Action::"repos/read", resource);
`
const REGISTERED = ['--obligations', 'set_header,strip_authorization,token_exchange']
/** A slow machine may need several attempts, since the issuer has little time to answer. */
const WITHIN_MILLISECONDS = 50_000
vi.setConfig({ testTimeout: 240_000 })

let as: ExchangeServer
let warder: Warder
let upstream: Upstream
/** Every token that there was: none may be read anywhere. */
const tokens: string[] = []

beforeAll(async () => {
  as = await startExchangeServer()
  upstream = await startUpstream()
  warder = await startWarder()
  await prepareDemo(warder, { document: as.file(), token: as.token, secret: {} })
  await pushDemo(warder, { 'reading-is-exchanged.cedar': EXCHANGED }, '--activate')
})
afterEach(() => as.break(undefined))
afterAll(async () => {
  await warder?.remove()
  await upstream?.close()
  await as?.close()
})

const GATEWAYS: readonly (readonly [string, () => StartGateway])[] = [
  ['nginx', () => nginxStarter(inject('nginx'))],
  ['envoy', () => envoyStarter(inject('envoy'))],
  ['envoy-grpc', () => envoyStarter(inject('envoy'), 'envoy-grpc.yaml')],
]

async function withGateway(
  name: string,
  start: StartGateway,
  options: readonly string[],
  use: (gateway: RunningGateway) => Promise<void>,
): Promise<void> {
  const key = await addGateway(warder, name, ...options)
  const { decisionPort, extAuthzPort } = warder
  const gateway = await start({ key, decisionPort, extAuthzPort, upstreamPort: upstream.port })
  try {
    await use(gateway)
  } finally {
    await gateway.stop()
  }
}

async function tokenOf(session: string): Promise<string> {
  const token = await as.token('triage-bot', 'alice', { sid: session })
  tokens.push(token)
  return token
}

function ask({ port }: RunningGateway, token: string): Promise<Answer> {
  return send(port, { path: '/repos/7', headers: { authorization: `Bearer ${token}` } })
}

/** 503 is nginx' own answer when Warder takes too long. */
async function denied(gateway: RunningGateway, session: string, code: string): Promise<void> {
  const token = await tokenOf(session)
  await until(`it is denied with ${code}`, WITHIN_MILLISECONDS, async () => {
    const { status, body } = await ask(gateway, token)
    expect([403, 503]).toContain(status)
    return status === 403 && body.includes(code)
  })
}

test.each(GATEWAYS)(
  'through %s the API sees the exchanged token and never the agent’s; it ends with its session',
  async (name, start) => {
    await withGateway(name, start(), REGISTERED, async (gateway) => {
      upstream.forget()
      const token = await tokenOf(name)
      await until(
        'a call is allowed',
        WITHIN_MILLISECONDS,
        async () => (await ask(gateway, token)).status === 200,
      )
      await until('it is allowed again', WITHIN_MILLISECONDS, async () => {
        return (await ask(gateway, token)).status === 200 && upstream.received.length > 1
      })
      const issued = as.exchanges.filter(({ subject }) => subject === token).map((each) => each.issued)
      tokens.push(...issued.filter((each) => each !== undefined))
      const seen = upstream.received.map(({ headers }) => headers['authorization'])
      for (const each of seen) expect(issued.map((of) => `Bearer ${of}`)).toContain(each)
      expect(JSON.stringify(upstream.received)).not.toContain(token)
      const last = issued.at(-1) ?? ''
      expect(await as.isActive(last)).toBe(true)

      await warder.cli(
        'revoke',
        'session',
        `${as.issuer}|${name}`,
        '--tenant',
        TENANT,
        '--reason',
        'its run is over',
      )
      await until('the token has ended', WITHIN_MILLISECONDS, async () => !(await as.isActive(last)))
      await until(
        'the call is denied',
        WITHIN_MILLISECONDS,
        async () => (await ask(gateway, token)).status === 401,
      )
    })
  },
)

test('when the issuer fails, nothing reaches the API', async () => {
  await withGateway('failing', nginxStarter(inject('nginx')), REGISTERED, async (gateway) => {
    upstream.forget()
    as.break((response) => response.writeHead(503).end())
    await denied(gateway, 'failing', 'exchange.unavailable')
    expect(upstream.received).toEqual([])
  })
})

test('a gateway that is not registered for it is denied, and the issuer is not asked', async () => {
  await withGateway('plain', nginxStarter(inject('nginx')), [], async (gateway) => {
    const before = as.exchanges.length
    await denied(gateway, 'plain', 'obligation.unsupported')
    expect(as.exchanges.length).toBe(before)
  })
})

test('the log says that tokens were exchanged; no token is in it, in the metrics or in what the server wrote', async () => {
  const rows = JSON.stringify(await warder.json('logs', 'query', '--tenant', TENANT, '--limit', '500'))
  expect(rows).toContain(`"audience":"${AUDIENCE}"`)
  expect(rows).toContain('"cached":true')
  const issuers = JSON.stringify(await warder.json('issuer', 'list', '--tenant', TENANT))
  const audit = JSON.stringify(await warder.json('audit', 'query'))
  const metrics = (await send(warder.adminPort, { path: '/metrics' })).body
  expect(metrics).toContain('cache="exchange"')
  expect(tokens.length).toBeGreaterThan(5)
  for (const kept of [rows, issuers, audit, metrics, warder.output()])
    for (const token of tokens) expect(kept.includes(token)).toBe(false)
})
