import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpError } from '@modelcontextprotocol/sdk/types.js'
import { isObject, type JsonObject, parseJson, textOf } from './json.ts'

/** What the agent sees of a call. */
export interface CallOutcome {
  readonly result: JsonObject | undefined
  /** Why there is no result; `undefined` when there is one. */
  readonly reason: string | undefined
  readonly message: string
}

/** The agent: it holds one token and knows one address. */
export interface DemoAgent {
  listTools(): Promise<readonly string[]>
  call(name: string, given?: Readonly<Record<string, unknown>>): Promise<CallOutcome>
  close(): Promise<void>
}

/** Connects the official MCP client to `url` with `token`. @throws when it is not let in */
export async function connectAgent(url: string, token: string): Promise<DemoAgent> {
  const client = new Client({ name: 'coding-agent', version: '1.0.0' })
  const headers = { authorization: `Bearer ${token}` }
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  await client.connect(transport as Parameters<typeof client.connect>[0])
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, given = {}) => callTool(client, name, given),
    close: () => client.close(),
  }
}

/** Sends `body` as raw JSON-RPC, with headers of one's own choice; gives the status and the body as it is. */
export async function sendRaw(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: object,
): Promise<{ readonly status: number; readonly text: string }> {
  const usual = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const init = { method: 'POST', headers: { ...usual, ...headers }, body: JSON.stringify(body) }
  const response = await fetch(url, init)
  return { status: response.status, text: await response.text() }
}

async function callTool(
  client: Client,
  name: string,
  given: Readonly<Record<string, unknown>>,
): Promise<CallOutcome> {
  try {
    const { structuredContent } = await client.callTool({ name, arguments: { ...given } })
    const result = parseJson(JSON.stringify(structuredContent ?? {}))
    return { result: isObject(result) ? result : {}, reason: undefined, message: '' }
  } catch (error) {
    if (!(error instanceof McpError)) throw error
    const reason = isObject(error.data) ? textOf(error.data['reason']) : ''
    return { result: undefined, reason, message: error.message.replace(/^MCP error \d+: /, '') }
  }
}
