import type { JsonObject } from '#model/value.ts'
import type { Mapped } from './mapping.ts'

/** Methods that are about the server as a whole, and Warder's own names for what has no method (docs/mcp.md). */
const ABOUT_SERVER: ReadonlySet<string> = new Set([
  'initialize',
  'server/discover',
  'ping',
  'logging/setLevel',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'subscriptions/listen',
  'tasks/list',
  'stream',
  'end',
  'response',
  'result',
])

/** Methods that name one thing: its type, and the parameter that names it. */
const ABOUT_ITEM: { readonly [method: string]: readonly [type: string, parameter: string] } = {
  'resources/read': ['resource', 'uri'],
  'resources/subscribe': ['resource', 'uri'],
  'resources/unsubscribe': ['resource', 'uri'],
  'prompts/get': ['prompt', 'name'],
  'tasks/get': ['task', 'taskId'],
  'tasks/result': ['task', 'taskId'],
  'tasks/cancel': ['task', 'taskId'],
}
const METHOD_PREFIX = 'mcp:'

/**
 * What a call of MCP is about where nobody declared a mapping: the default mappings of COAZ-MCP. Their ids have the server before
 * them (`SERVER/NAME`), because a tenant has several servers; `ping` and notifications are asked about like everything else.
 *
 * @param tool id of the tool, `SERVER/NAME` or `SERVER/mcp:METHOD`
 * @returns undefined for a method that has no default mapping; it must be denied
 * @see AuthZEN COAZ-MCP Draft 1, section "Default Mappings"
 */
export function defaultMapping(
  tool: string,
  params: JsonObject,
  agent: string | undefined,
): Mapped | undefined {
  const slash = tool.indexOf('/')
  if (slash <= 0) return undefined
  const server = tool.slice(0, slash)
  const name = tool.slice(slash + 1)
  const about = name.startsWith(METHOD_PREFIX)
    ? ofMethod(server, name.slice(METHOD_PREFIX.length), params)
    : { action: 'tools/call', type: 'tool', id: tool }
  if (about === undefined) return undefined
  return {
    subject: { type: undefined, id: undefined },
    action: { name: about.action, properties: undefined },
    resource: { type: about.type, id: about.id },
    context: agent === undefined ? {} : { agent },
  }
}

interface About {
  readonly action: string
  readonly type: string
  readonly id: string
}

function ofMethod(server: string, method: string, params: JsonObject): About | undefined {
  if (ABOUT_SERVER.has(method) || method.startsWith('notifications/'))
    return { action: method, type: 'mcp_server', id: server }
  if (method === 'completion/complete') return ofCompletion(server, params['ref'])
  const item = Object.hasOwn(ABOUT_ITEM, method) ? ABOUT_ITEM[method] : undefined
  return item && ofItem(server, method, item[0], params[item[1]])
}

function ofCompletion(server: string, ref: JsonObject[string] | undefined): About | undefined {
  if (typeof ref !== 'object' || ref === null || Array.isArray(ref)) return undefined
  const { type, name, uri } = ref as JsonObject
  if (type === 'ref/prompt') return ofItem(server, 'completion/complete', 'prompt', name)
  return type === 'ref/resource' ? ofItem(server, 'completion/complete', 'resource', uri) : undefined
}

function ofItem(
  server: string,
  action: string,
  type: string,
  id: JsonObject[string] | undefined,
): About | undefined {
  return typeof id === 'string' && id !== '' && id.length <= 1_024
    ? { action, type, id: `${server}/${id}` }
    : undefined
}
