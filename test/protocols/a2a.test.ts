import { expect, test } from 'vitest'
import { readA2aCall } from '#protocols/a2a.ts'

const body = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const rpc = (method: string, params: object = {}) => body({ jsonrpc: '2.0', id: 1, method, params })
const V1: [string, string][] = [['a2a-version', '1.0']]
const ask = (more: Partial<Parameters<typeof readA2aCall>[1]>) =>
  readA2aCall('planner', { method: 'POST', rest: '', query: '', body: undefined, headers: [], ...more })

test.each([
  [
    '1.0 over JSON-RPC',
    { headers: V1, body: rpc('SendMessage', { message: { messageId: 'm' } }) },
    'SendMessage',
    'write',
  ],
  [
    '0.3 without a header',
    { body: rpc('message/send', { message: { messageId: 'm' } }) },
    'SendMessage',
    'write',
  ],
  ['0.3, a task', { body: rpc('tasks/get', { id: 't' }) }, 'GetTask', 'read'],
  ['1.0 by query', { query: '?A2A-Version=1.0', body: rpc('GetTask', { id: 't' }) }, 'GetTask', 'read'],
  ['REST', { headers: V1, rest: '/message:send', body: body({ message: {} }) }, 'SendMessage', 'write'],
  ['REST, a task', { headers: V1, method: 'GET', rest: '/tasks/t1' }, 'GetTask', 'read'],
  ['REST, the end of a task', { headers: V1, rest: '/tasks/t1:cancel' }, 'CancelTask', 'write'],
] as const)('%s is one vocabulary for policies', (_, wire, method, effect) => {
  expect(ask(wire)).toMatchObject({ ok: true, value: { tool: `planner/a2a:${method}`, effect } })
})

test('the tenant of message or path is a claim', () => {
  expect(ask({ headers: V1, body: rpc('SendMessage', { tenant: 'acme' }) })).toMatchObject({
    value: { tenant: 'acme' },
  })
  expect(ask({ headers: V1, rest: '/acme/message:send' })).toMatchObject({ value: { tenant: 'acme' } })
})

test.each([
  [
    'a version that is not read',
    { headers: [['a2a-version', '2.0']] as [string, string][], body: rpc('GetTask') },
    'a2a.version',
  ],
  ['a version twice', { headers: [...V1, ...V1], body: rpc('GetTask') }, 'a2a.version'],
  ['header and query', { headers: V1, query: '?A2A-Version=0.3', body: rpc('GetTask') }, 'a2a.version'],
  ['a 1.0 name in 0.3', { body: rpc('SendMessage') }, 'rpc.unreadable'],
  ['a method that nobody knows', { headers: V1, body: rpc('EraseEverything') }, 'rpc.unreadable'],
  ['a name that every object has', { headers: V1, body: rpc('constructor') }, 'rpc.unreadable'],
  ['no body', { headers: V1 }, 'rpc.unreadable'],
  [
    'path and body with different tenants',
    { headers: V1, rest: '/acme/message:send', body: body({ tenant: 'evil' }) },
    'rpc.unreadable',
  ],
  ['a path that is none of A2A', { headers: V1, rest: '/admin' }, 'rpc.unreadable'],
])('%s denies', (_, wire, code) => {
  expect(ask(wire)).toMatchObject({ ok: false, failure: { code } })
})

test.each([
  ['a body that was not seen', { rest: '/message:send' }, true],
  ['a body', { rest: '/message:send', body: body({ message: {} }) }, undefined],
  ['a query', { method: 'GET', rest: '/tasks', query: '?contextId=secret' }, true],
  ['the version alone', { method: 'GET', rest: '/tasks', query: '?A2A-Version=1.0', headers: [] }, undefined],
] as const)('arguments in %s are unknown: %s', (_, wire, unknown) => {
  const call = ask({ headers: V1, ...wire })
  expect(call.ok && call.value.argumentsUnknown).toBe(unknown)
})

test('the task of a path is the argument of the same name', () => {
  expect(ask({ headers: V1, method: 'GET', rest: '/tasks/t1' })).toMatchObject({
    value: { arguments: { id: 't1' } },
  })
  expect(ask({ headers: V1, rest: '/acme/tasks/t1:cancel', body: body({ id: 't1' }) })).toMatchObject({
    value: { tenant: 'acme', arguments: { id: 't1' } },
  })
})

test.each([
  ['a tenant in the query', { method: 'GET', rest: '/acme/tasks', query: '?tenant=evil' }],
  ['another tenant in the query', { method: 'GET', rest: '/tasks', query: '?tenant=acme&tenant=evil' }],
  ['another task in the body', { rest: '/tasks/t1:cancel', body: body({ id: 't2' }) }],
  ['a method behind an escape', { method: 'GET', rest: '/tasks/t1%3Asubscribe' }],
])('%s that contradicts denies', (_, wire) => {
  expect(ask({ headers: V1, ...wire })).toMatchObject({ ok: false, failure: { code: 'rpc.unreadable' } })
})

test('a tenant in the query is a claim too', () => {
  expect(ask({ headers: V1, method: 'GET', rest: '/tasks', query: '?tenant=evil' })).toMatchObject({
    value: { tenant: 'evil' },
  })
})
