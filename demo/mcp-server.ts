import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { TOOLS } from './tools.ts'

/** The MCP server that the agent wants to reach. It trusts whoever reaches it. */
export interface McpServer {
  readonly port: number
  /** Names of the tools that were really run, in order. */
  readonly ran: readonly string[]
  close(): Promise<void>
}

/** What `read_customer` finds, the fields that no agent is to see included. */
export const CUSTOMER = {
  id: '4711',
  name: 'Ada Example',
  plan: 'team',
  email: 'ada@customer.example',
  iban: 'DE02120300000000202051',
}

/** Starts the server on a free port: the official SDK, streamable HTTP without sessions, 50 tools. */
export async function startMcpServer(): Promise<McpServer> {
  const ran: string[] = []
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing, ran).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return {
    port: address.port,
    ran,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function handle(incoming: IncomingMessage, outgoing: ServerResponse, ran: string[]): Promise<void> {
  if (incoming.method !== 'POST') {
    // Without sessions there is no stream to open.
    outgoing.writeHead(405, { allow: 'POST' }).end()
    return
  }
  // One server and transport for each request, as the SDK wants it where there are no sessions.
  const server = workbench(ran)
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
  outgoing.on('close', () => void transport.close())
  await server.connect(transport as Parameters<typeof server.connect>[0])
  await transport.handleRequest(incoming, outgoing)
}

function workbench(ran: string[]): Server {
  const server = new Server({ name: 'workbench', version: '1.0.0' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: TOOLS.map(({ name, description }) => ({ name, description, inputSchema: { type: 'object' } })),
  }))
  server.setRequestHandler(CallToolRequestSchema, ({ params: { name } }) => {
    ran.push(name)
    const result = name === 'read_customer' ? CUSTOMER : { done: name }
    return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: result }
  })
  return server
}
