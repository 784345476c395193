import { expect, test } from 'vitest'
import { native } from '#gateways/native.ts'
import type { JsonObject } from '#model/value.ts'
import { nativeRequest, readWith } from '../support/ask.ts'

const tool = (id: string) => ({ type: 'tool', id })

test.each([
  ['the action', { tool: 'github/read', action: 'github/delete' }],
  ['a resource that is a tool', { tool: 'github/read', resource: tool('github/delete') }],
  ['a resource that is a tool without a server', { tool: 'read', resource: tool('delete') }],
  ['an action that is a tool and its resource', { action: 'github/read', resource: tool('github/delete') }],
] as const)('a tool that %s contradicts is refused: one of two would not be asked about', (_name, body) => {
  const read = readWith(native, '/v1/decide', { agent: 'bot', ...body })
  expect(read).toMatchObject({ ok: false, failure: { code: 'request.wrong_type' } })
})

test.each([
  ['the tool alone', { tool: 'github/read' }, 'github/read'],
  ['the tool with a verb', { tool: 'github/read', action: 'tools/call' }, 'github/read'],
  ['the tool twice', { tool: 'github/read', resource: tool('github/read') }, 'github/read'],
  ['a verb on a tool', { action: 'call', resource: tool('github/read') }, 'github/read'],
  ['a tool on data', { tool: 'github/read', resource: { type: 'repo', id: 'a/b' } }, 'github/read'],
  ['an action on data', { action: 'read', resource: { type: 'repo', id: 'a/b' } }, undefined],
] as const)('%s: the tool that is asked about', (_name, body: JsonObject, id) => {
  expect(nativeRequest({ agent: 'bot', ...body }).tool).toBe(id)
})
