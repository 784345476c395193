import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchange, header, parseAnswer } from '../support/raw-http.ts'
import { BYPASSES, type Bypass, rpc } from './bypasses.ts'
import { TENANT } from './demo.ts'
import { type Fault, type FaultyPdp, startFaultyPdp } from './faulty-pdp.ts'
import type { RunningGateway, StartGateway } from './gateway-process.ts'
import { openScene, type Scene } from './scene.ts'
import { startUpstream, type Upstream } from './upstream.ts'

/** A gateway as the table of docs/gateways/README.md knows it. */
export interface GatewayUnderTest {
  /** The column, e.g. `Envoy (gRPC)`. */
  readonly name: string
  /** Whether its configuration sends bodies to Warder. */
  readonly sendsBodies: boolean
  /** Whether it passes a body on while it still comes, in a framing of its own. */
  readonly streamsBodies?: boolean
  /** Faults that its protocol has no form for. Default: `no message`, which only gRPC has. */
  readonly inapplicable?: readonly Fault[]
}

/** Each fault with its row of the table. */
export const FAULTS: Readonly<Record<Fault, string>> = {
  down: 'Warder is down',
  silent: 'Warder never answers',
  reset: 'Warder resets the connection',
  garbage: 'Warder answers with something else than HTTP',
  'cut off': 'Warder’s answer breaks off',
  '500': 'Warder answers 500',
  '503': 'Warder answers 503',
  '302': 'Warder answers 302',
  'no message': 'Warder answers without a message',
}

const MCP_SERVER = {
  entities: [
    {
      uid: { type: 'Warder::Server', id: 'repos' },
      attrs: { protocol: 'mcp', endpoint: '/mcp' },
      parents: [],
    },
    ...(['readTools', 'destructiveTools'] as const).map((group, i) => ({
      uid: { type: 'Warder::Action', id: `repos/${i === 0 ? 'read_file' : 'delete_repo'}` },
      attrs: {},
      parents: [{ type: 'Warder::Action', id: group }],
    })),
  ],
}

/** What a plain call of the demo's agent may reach. */
const PERMITTED = new Set(['GET /repos', 'GET /repos/7'])
/** For an answer that never comes. */
const ANSWER_MILLISECONDS = 30_000

/**
 * Tries every bypass through a real gateway. What the gateway answered is recorded in test/golden/must-deny, from where
 * docs/gateways/README.md gets its table.
 *
 * @param start gives the starter once the tests run
 */
export function mustDeny(gateway: GatewayUnderTest, start: () => StartGateway): void {
  describe(`past ${gateway.name}`, () => {
    const outcomes: Record<string, string> = {}
    let scene: Scene | undefined
    const opened = (): Scene => {
      if (scene === undefined) throw new Error('the scene did not open')
      return scene
    }
    beforeAll(async () => {
      scene = await openScene(start())
      const file = join(scene.warder.dataDir, 'mcp.json')
      writeFileSync(file, JSON.stringify(MCP_SERVER))
      await scene.warder.cli('registry', 'import', file, '--tenant', TENANT)
    })
    afterAll(async () => await scene?.close())

    test('the plain call is allowed, so that a deny means something', async () => {
      expect((await attempt(opened(), { name: 'plain' })).status).toBe(200)
      expect(opened().upstream.received.map(({ url }) => url)).toEqual(['/repos'])
      const headers = [['content-type', 'application/json']] as const
      const call = { name: 'tool', method: 'POST', target: '/mcp', headers, body: rpc('read_file') }
      expect((await attempt(opened(), call)).status).toBe(gateway.sendsBodies ? 200 : 403)
    })

    test.each(BYPASSES)('$name is no way', async (bypass) => {
      const answer = await attempt(opened(), bypass)
      const { received } = opened().upstream
      expect(received.filter(({ method, url }) => !PERMITTED.has(`${method} ${url}`))).toEqual([])
      expect(JSON.stringify(received)).not.toContain('forged-value')
      if (bypass.isAllowed !== true && answer.status === 200)
        // The gateway spelt the target plainly, or kept what was forged away: then the decision was about this spelling.
        expect(received.map(({ url }) => url)).toEqual([answer.decidedAbout])
      const isReframed = gateway.streamsBodies === true && isAboutFraming(bypass)
      if (answer.status === 200 && !isReframed)
        expect(received.map(({ headers }) => headers)).toEqual([cleanOf(bypass)])
      if (bypass.isCutOff === true) expect(opened().upstream.complete()).toBe(0)
      outcomes[bypass.name] = isReframed ? reframed(bypass, answer) : answer.outcome
    })

    faults(gateway, start, outcomes)

    test('what the gateway answered is what docs/gateways/README.md says', async () => {
      const file = `../golden/must-deny/${gateway.name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/-$/, '')}.json`
      const record = { gateway: gateway.name, outcomes }
      await expect(`${JSON.stringify(record, null, 2)}\n`).toMatchFileSnapshot(file)
    })
  })
}

/** A decision point that is broken in every way that we know: the gateway must not let a call pass. */
function faults(
  gateway: GatewayUnderTest,
  start: () => StartGateway,
  outcomes: Record<string, string>,
): void {
  let pdp: FaultyPdp | undefined
  let upstream: Upstream | undefined
  let running: RunningGateway | undefined
  beforeAll(async () => {
    pdp = await startFaultyPdp()
    upstream = await startUpstream()
    const place = { key: `wgk_${'0'.repeat(43)}`, decisionPort: pdp.port, extAuthzPort: pdp.port }
    running = await start()({ ...place, upstreamPort: upstream.port })
  })
  afterAll(async () => {
    await running?.stop()
    await pdp?.close()
    await upstream?.close()
  })

  const inapplicable = gateway.inapplicable ?? ['no message']
  const faultNames = (Object.keys(FAULTS) as Fault[]).filter((fault) => !inapplicable.includes(fault))
  test.each(faultNames)('a decision point that is `%s` lets nothing pass', async (fault) => {
    await pdp?.behave(fault)
    upstream?.forget()
    const bytes = `GET /repos HTTP/1.1\r\nHost: pdp.test\r\nConnection: close\r\nAuthorization: Bearer x\r\n\r\n`
    const answer = parseAnswer(await exchange(running?.port ?? 0, bytes, ANSWER_MILLISECONDS))
    expect(upstream?.received).toEqual([])
    expect(answer.status).not.toBe(0)
    expect(Math.floor(answer.status / 100)).not.toBe(2)
    outcomes[FAULTS[fault]] = outcomeOf(answer)
  })
}

function isAboutFraming({ headers = [], target = '/repos' }: Bypass): boolean {
  return target === '/repos' && headers.some(([name]) => name === 'transfer-encoding')
}

/** The call as such is allowed; what matters is that its body is no second one, and that a part is not passed off as all. */
function reframed({ isCutOff }: Bypass, { status, outcome }: Attempted): string {
  if (status !== 200) return outcome
  return isCutOff === true ? 'passed on, broken off as it came' : 'passed on as one call, in one framing'
}

/** Headers without anything that the bypass added. */
function cleanOf({ headers = [], isAllowed }: Bypass): unknown {
  const added = headers.map(([name]) => name)
  // What Warder says itself under these names is another value.
  if (isAllowed === true) return expect.any(Object)
  return expect.toSatisfy(
    (got: object) => added.every((name) => !Object.hasOwn(got, name)),
    'comes without it',
  )
}

interface Attempted {
  readonly status: number
  readonly outcome: string
  readonly decidedAbout: string | undefined
}

async function attempt(scene: Scene, bypass: Bypass): Promise<Attempted> {
  scene.upstream.forget()
  const token = await scene.issuer.token('triage-bot', 'alice')
  const { method = 'GET', target = '/repos', headers = [], body = '', isCutOff = false } = bypass
  const content = Buffer.from(body)
  const isFramed = headers.some(([name]) => name === 'transfer-encoding' || name === 'content-length')
  const isUpgrade = headers.some(([name]) => name === 'upgrade')
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: pdp.test',
    `Connection: ${isUpgrade ? 'Upgrade' : 'close'}`,
    `Authorization: Bearer ${token}`,
    ...(content.length > 0 && !isFramed ? [`Content-Length: ${content.length}`] : []),
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ]
  const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), content])
  const ends = isCutOff ? 'with the request' : 'with the answer'
  const answer = parseAnswer(await exchange(scene.gateway.port, bytes, ANSWER_MILLISECONDS, ends))
  const decidedAbout = target.split('?', 1)[0] === '/repos' ? '/repos' : scene.upstream.received[0]?.url
  const seen = { status: answer.status, outcome: outcomeOf(answer) }
  return { status: answer.status, outcome: refusedWhileSent(bypass, seen), decidedAbout }
}

/**
 * A gateway that refuses a large body while it is still sent may close before its answer was read, and which of its limits
 * is met first depends on how much of the body had come: one outcome, several sights of it.
 */
function refusedWhileSent({ name }: Bypass, { status, outcome }: Omit<Attempted, 'decidedAbout'>): string {
  return name.includes('body over the limit') && status !== 200 ? 'refused, or the connection cut' : outcome
}

/** What a reader of the table wants to know: the status, and who said so. */
function outcomeOf(answer: ReturnType<typeof parseAnswer>): string {
  if (answer.status === 0) return 'connection closed'
  if (answer.status === 200) return '200, without it'
  const reason = header(answer, 'x-warder-reason') ?? /"(?:code|reason)":"([a-z_.]+)"/.exec(answer.body)?.[1]
  return reason === undefined ? `${answer.status} by the gateway` : `${answer.status} \`${reason}\``
}
