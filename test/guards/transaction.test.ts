import { expect, test } from 'vitest'
import { guardTransaction } from '#guards/transaction.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { request } from '../support/tokens.ts'

const CALL = request({
  tool: 'bank/pay',
  arguments: { amount: 100, to: { iban: 'DE1', name: 'Bob' }, tags: ['a', 'b'] },
  resource: { type: 'Account', id: '7', properties: {} },
})
const within = (
  context: JsonObject,
  call: AuthorizationRequest = CALL,
  tool: string | undefined = 'bank/pay',
) => guardTransaction({ id: 't', issuer: 'https://tts.example', chain: [], context }, call, tool)

test('a call without a transaction is in none', () => {
  expect(guardTransaction(undefined, CALL, 'bank/pay')).toBeUndefined()
})

test.each<[string, JsonObject]>([
  ['nothing', {}],
  ['the tool', { tool: 'bank/pay' }],
  ['the resource by id', { resource: '7' }],
  ['the resource by type and id', { resource: { type: 'Account', id: '7' } }],
  ['some arguments', { arguments: { amount: 100 } }],
  [
    'nested ones, members in any order',
    { arguments: { to: { name: 'Bob', iban: 'DE1' }, tags: ['a', 'b'] } },
  ],
  ['an argument by its name', { amount: 100 }],
  ['what no argument is called', { initiator: 'web' }],
])('a call that does what its transaction names passes: %s', (_what, context) => {
  expect(within(context)).toBeUndefined()
})

test.each<[string, JsonObject, string]>([
  ['another tool', { tool: 'bank/read' }, 'tool'],
  ['a tool that is no text', { tool: null }, 'tool'],
  ['another resource', { resource: '8' }, 'resource'],
  ['a resource of another type', { resource: { type: 'User', id: '7' } }, 'resource'],
  ['a member of a resource that nobody knows', { resource: { id: '7', owner: 'x' } }, 'resource'],
  ['a resource that is a list', { resource: ['7'] }, 'resource'],
  ['another amount', { arguments: { amount: 101 } }, 'arguments.amount'],
  ['an amount of another type', { arguments: { amount: '100' } }, 'arguments.amount'],
  ['an argument that is not there', { arguments: { currency: 'EUR' } }, 'arguments.currency'],
  ['an inherited name', { arguments: { toString: null } }, 'arguments.toString'],
  ['less than what is there', { arguments: { to: { iban: 'DE1' } } }, 'arguments.to'],
  ['more than what is there', { arguments: { tags: ['a', 'b', 'c'] } }, 'arguments.tags'],
  ['a list in another order', { arguments: { tags: ['b', 'a'] } }, 'arguments.tags'],
  ['arguments that are no object', { arguments: [] }, 'arguments'],
  ['another value for the name of an argument', { amount: 1 }, 'arguments.amount'],
])('a call whose transaction names %s denies', (_what, context, path) => {
  expect(within(context)).toMatchObject({ code: 'txn.mismatch', detail: `\`tctx\`: ${path}` })
})

test('no value of a transaction is told', () => {
  expect(JSON.stringify(within({ arguments: { amount: 'secret' } }))).not.toContain('secret')
})

test('without a resource of its own, a call is about its tool', () => {
  const call = request({ tool: 'bank/pay' })
  expect(within({ resource: 'bank/pay' }, call)).toBeUndefined()
  expect(within({ resource: { type: 'Account' } }, call)).toMatchObject({ code: 'txn.mismatch' })
})

test('the registered tool counts, not the name that the request gives it', () => {
  expect(within({ tool: 'bank/pay' }, request({ tool: 'bank/pay' }), 'bank/drain')).toMatchObject({
    code: 'txn.mismatch',
  })
})

test('arguments that can not be seen deny where the transaction names any', () => {
  const call = request({ tool: 'bank/pay', argumentsUnknown: true })
  expect(within({ amount: 100 }, call)).toMatchObject({ code: 'txn.mismatch' })
  expect(within({ arguments: { amount: 100 } }, call)).toMatchObject({ code: 'txn.mismatch' })
  expect(within({ tool: 'bank/pay' }, call)).toBeUndefined()
})

test('a list offers the tool of the transaction, whose arguments are not chosen yet, and no other', () => {
  const call = request({ tool: 'bank/pay', argumentsOpen: true })
  expect(within({ tool: 'bank/pay', arguments: { amount: 1 } }, call)).toBeUndefined()
  expect(within({ tool: 'bank/read' }, call)).toMatchObject({ code: 'txn.mismatch' })
})
