import { expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import { envoyGrpc } from '#gateways/envoy-grpc/envoy-grpc.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import { opa } from '#gateways/opa/opa.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import { Hidden } from '#lib/hidden.ts'
import type { Decision } from '#model/decision.ts'
import { decision, obligation } from '../support/fake-decider.ts'
import { wire } from '../support/wire.ts'

const TOKEN = 'exchanged.token'
const DEMANDED: Decision = {
  ...decision('d' as never, 'allow', 'policy.permit'),
  obligations: [obligation('token_exchange', { audience: 'https://api.example' })],
}
const EXCHANGED: Decision = { ...DEMANDED, upstreamToken: new Hidden(TOKEN) }
const ASKED = { requests: [], semantic: 'single', itemErrors: new Map() } as const

const answer = (dialect: GatewayDialect, made: Decision) =>
  dialect.write([{ decision: made }], ASKED, wire({ target: '/v1/data/x' }))

test.each([
  ['forward-auth', forwardAuth],
  ['envoy-http', envoyHttp],
] as const)('%s puts the exchanged token in the place of the agent’s, which must go', (_, dialect) => {
  const { status, headers } = answer(dialect, EXCHANGED)
  expect(status).toBe(200)
  expect(headers.filter(([name]) => name === 'authorization')).toEqual([['authorization', `Bearer ${TOKEN}`]])
  expect(headers).toContainEqual(['x-warder-authorization', 'strip'])
  // Envoy removes after it has set.
  expect(headers.map(([name]) => name)).not.toContain('x-envoy-auth-headers-to-remove')
})

test('without an exchanged token the agent’s goes all the same, and nothing comes in its place', () => {
  const { headers } = answer(envoyHttp, DEMANDED)
  expect(headers).toContainEqual(['x-envoy-auth-headers-to-remove', 'authorization'])
  expect(headers.map(([name]) => name)).not.toContain('authorization')
  expect(answer(forwardAuth, DEMANDED).headers).toContainEqual(['x-warder-authorization', 'strip'])
})

test('envoy-grpc sets it in place of the agent’s, and removes none that it has set', () => {
  const named = (made: Decision) =>
    Buffer.from(envoyGrpc.write([{ decision: made }], [made], new Uint8Array()))
      .toString('latin1')
      .match(/(?<!x-warder-)authorization(?:\W+Bearer [\w.]+)?/g)
  expect(named(EXCHANGED)).toEqual([expect.stringMatching(/^authorization\W+Bearer exchanged\.token$/)])
  expect(named(DEMANDED)).toEqual(['authorization'])
})

test.each([
  ['native', native],
  ['authzen', authzen],
  ['opa', opa],
] as const)('%s never carries a token', (_, dialect) => {
  expect(JSON.stringify(answer(dialect, EXCHANGED))).not.toContain(TOKEN)
})

test('a deny never carries a token', () => {
  for (const dialect of [forwardAuth, envoyHttp])
    expect(JSON.stringify(answer(dialect, { ...EXCHANGED, effect: 'deny' }))).not.toContain(TOKEN)
})
