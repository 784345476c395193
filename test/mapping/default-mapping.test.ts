import { expect, test } from 'vitest'
import { defaultMapping } from '#mapping/default-mapping.ts'
import type { JsonObject } from '#model/value.ts'

const about = (tool: string, params: JsonObject = {}) => {
  const mapped = defaultMapping(tool, params, 'agent-1')
  return mapped && [mapped.action.name, mapped.resource.type, mapped.resource.id]
}

test.each<[string, JsonObject, readonly string[]]>([
  ['crm/get', { id: 'c-1' }, ['tools/call', 'tool', 'crm/get']],
  ['crm/mcp:tools/list', {}, ['tools/list', 'mcp_server', 'crm']],
  ['crm/mcp:initialize', {}, ['initialize', 'mcp_server', 'crm']],
  ['crm/mcp:notifications/initialized', {}, ['notifications/initialized', 'mcp_server', 'crm']],
  ['crm/mcp:resources/read', { uri: 'file:///a' }, ['resources/read', 'resource', 'crm/file:///a']],
  ['crm/mcp:prompts/get', { name: 'p' }, ['prompts/get', 'prompt', 'crm/p']],
  ['crm/mcp:tasks/cancel', { taskId: 't' }, ['tasks/cancel', 'task', 'crm/t']],
  [
    'crm/mcp:completion/complete',
    { ref: { type: 'ref/prompt', name: 'p' } },
    ['completion/complete', 'prompt', 'crm/p'],
  ],
  [
    'crm/mcp:completion/complete',
    { ref: { type: 'ref/resource', uri: 'u' } },
    ['completion/complete', 'resource', 'crm/u'],
  ],
])('%s %j is about %j', (tool, params, expected) => {
  expect(about(tool, params)).toEqual(expected)
})

test.each<[string, JsonObject]>([
  ['crm/mcp:something/new', {}],
  ['crm/mcp:toString', {}],
  ['crm/mcp:constructor', {}],
  ['crm/mcp:resources/read', {}],
  ['crm/mcp:resources/read', { uri: 7 }],
  ['crm/mcp:prompts/get', { name: '' }],
  ['crm/mcp:completion/complete', { ref: { type: 'ref/other', name: 'x' } }],
  ['crm/mcp:completion/complete', { ref: ['ref/prompt'] }],
  ['noserver', {}],
  ['/x', {}],
])('nothing is known about %s %j', (tool, params) => {
  expect(about(tool, params)).toBeUndefined()
})

test('only the verified agent is in the context', () => {
  expect(defaultMapping('crm/get', { agent: 'root' }, undefined)?.context).toEqual({})
  expect(defaultMapping('crm/get', { agent: 'root' }, 'agent-1')?.context).toEqual({ agent: 'agent-1' })
})
