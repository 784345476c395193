import { beforeAll, describe, expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import { NOW } from './support/fake-decider.ts'
import { wire } from './support/wire.ts'
import { createWorld, type World } from './support/world.ts'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const JSON_TYPE = ['content-type', 'application/json'] as const
const CALL = [
  ['x-forwarded-method', 'GET'],
  ['x-forwarded-uri', '/repos'],
  ['host', 'api.test'],
] as const
const EVALUATION =
  '{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"tool","id":"github/list_repos"}}'

let world: World
beforeAll(async () => {
  world = await createWorld('demo', { policies: 'demo' })
})

/** The trace in the row of a call, and the names of the answer's headers. */
async function logged(
  dialect: GatewayDialect,
  parts: Parameters<typeof wire>[0],
  traces: readonly string[],
): Promise<{ readonly row: string | null | undefined; readonly headers: readonly string[] }> {
  const headers = [...(parts.headers ?? []), ...traces.map((trace) => ['Traceparent', trace] as const)]
  const asked = wire({ ...parts, headers })
  const read = dialect.read(asked, world.gateway, NOW)
  const [request] = read.ok ? read.value.requests : []
  if (!read.ok || request === undefined) throw new Error('nothing was read')
  const decision = await world.decider.decide(request, world.gateway)
  const row = world.rows.find(({ decision_id }) => decision_id === decision.id)
  const answer = dialect.write([{ decision }], read.value, asked)
  return { row: row?.traceparent, headers: answer.headers.map(([name]) => name.toLowerCase()) }
}

describe.each([
  ['native', native, { target: '/v1/decide', headers: [JSON_TYPE], body: '{"tool":"github/list_repos"}' }],
  ['authzen', authzen, { target: '/access/v1/evaluation', headers: [JSON_TYPE], body: EVALUATION }],
  ['forward-auth', forwardAuth, { method: 'GET', target: '/forward-auth', headers: CALL }],
  ['envoy-http', envoyHttp, { method: 'GET', target: '/repos', headers: [['host', 'api.test']] as const }],
])('a trace through %s', (_name, dialect, parts) => {
  test('is in the row of its decision, and not in the answer', async () => {
    const { row, headers } = await logged(dialect, parts, [TRACE])
    expect(row).toBe(TRACE)
    expect(headers).not.toContain('traceparent')
  })

  test.each([[['nonsense']], [[]]])('that is %j is null in the row', async (traces) => {
    expect((await logged(dialect, parts, traces)).row).toBeNull()
  })
})
