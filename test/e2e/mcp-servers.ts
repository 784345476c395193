import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'

/** A real MCP server that trusts whoever reaches it. */
export interface ReachedServer {
  readonly port: number
  /** Names of the tools that were really run, in order. */
  readonly ran: readonly string[]
  close(): Promise<void>
}

/** The official server of revision 2026-07-28 with two tools; it serves older clients too. */
export async function startModernServer(): Promise<ReachedServer> {
  const ran: string[] = []
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'repos', version: '1.0.0' })
    for (const name of ['read_file', 'delete_repo'])
      server.registerTool(name, { description: name }, () => {
        ran.push(name)
        return { content: [{ type: 'text', text: `${name} ran` }] }
      })
    return server
  })
  const handle = toNodeHandler(handler)
  type Incoming = Parameters<typeof handle>[0]
  return await listen((incoming, outgoing) => void handle(incoming as Incoming, outgoing), ran)
}

async function listen(handle: RequestListener, ran: readonly string[]): Promise<ReachedServer> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    ran,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
