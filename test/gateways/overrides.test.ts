import { expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import { GATEWAY, NOW } from '../support/fake-decider.ts'

type Case = readonly [string, GatewayDialect, readonly string[]]
const DIALECTS: readonly Case[] = [
  ['forward-auth', forwardAuth, ['x-forwarded-method', 'POST', 'x-forwarded-uri', '/repos']],
  ['envoy', envoyHttp, ['host', 'api.test']],
]

function read([, dialect, told]: Case, headers: readonly string[]) {
  const rawHeaders = [...told, ...headers]
  const wire = { method: 'POST', rawUrl: '/repos', rawHeaders, body: new Uint8Array(), peer: '' }
  return dialect.read(wire, GATEWAY, NOW)
}

const CHANGING = [
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-HTTP-Method', 'DELETE'],
  ['X-Method-Override', 'delete'],
  ['X-HTTP-Method-Override', 'POST', 'X-HTTP-Method-Override', 'DELETE'],
  ['X-Rewrite-URL', '/admin'],
  // Many servers turn `_` into `-`.
  ['X_HTTP_Method_Override', 'DELETE'],
  ['X_Original_URL', '/admin'],
]

test.each(DIALECTS)('%s: what could make an upstream run another request is refused', (...dialect) => {
  for (const headers of CHANGING)
    expect(read(dialect, headers), headers[0]).toMatchObject({
      ok: false,
      failure: { code: 'request.header_conflict' },
    })
  expect(read(dialect, ['X-Original-URL', '/admin'])).toMatchObject({ ok: false })
  expect(read(dialect, ['X-HTTP-Method-Override', 'post'])).toMatchObject({ ok: true })
})

test('nginx may still name the original request in X-Original-URL', () => {
  const headers = ['x-original-method', 'GET', 'x-original-url', 'https://api.test/repos']
  const wire = {
    method: 'GET',
    rawUrl: '/forward-auth',
    rawHeaders: headers,
    body: new Uint8Array(),
    peer: '',
  }
  expect(forwardAuth.read(wire, GATEWAY, NOW)).toMatchObject({
    ok: true,
    value: { requests: [{ route: { method: 'GET', path: '/repos' } }] },
  })
})
