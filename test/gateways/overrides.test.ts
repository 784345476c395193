import { expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { GATEWAY, NOW } from '../support/fake-decider.ts'

const DIALECTS = [
  ['forward-auth', forwardAuth, ['x-forwarded-method', 'POST', 'x-forwarded-uri', '/repos']],
  ['envoy', envoyHttp, ['host', 'api.test']],
] as const

function read([, dialect, told]: (typeof DIALECTS)[number], headers: readonly string[]) {
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
