import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type AgentCard, type Message, Role, TaskState } from '@a2a-js/sdk'
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  ServerCallContext,
} from '@a2a-js/sdk/server'
import { jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express'
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js'

/** A real A2A agent that trusts whoever reaches it, for JSON-RPC under `/a2a` and for REST under `/a2a-rest`. */
export interface ReachedAgent {
  readonly port: number
  /** What it really did, in order. */
  readonly did: readonly string[]
  close(): Promise<void>
}

/** A task that the agent has from the beginning. */
export const TASK = 'task-1'

/** How it speaks, and where. */
export const SPOKEN = [
  { binding: 'JSONRPC', path: '/a2a', version: '1.0' },
  { binding: 'JSONRPC', path: '/a2a', version: '0.3' },
  { binding: 'HTTP+JSON', path: '/a2a-rest', version: '1.0' },
] as const

/** One line of a card. */
export type Interface = AgentCard['supportedInterfaces'][number]

export function interfaceAt(origin: string, binding: string, path: string, version: string): Interface {
  return { url: `${origin}${path}`, protocolBinding: binding, protocolVersion: version, tenant: '' }
}

/** A card that names one interface only, so that a client has no choice. */
export function cardOf(...supportedInterfaces: Interface[]): AgentCard {
  return {
    name: 'planner',
    description: 'plans',
    version: '1.0.0',
    supportedInterfaces,
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    signatures: [],
  }
}

/** A message as the SDK wants it. */
export function message(text: string, role = Role.ROLE_USER): Message {
  const content = { $case: 'text', value: text } as const
  const parts = [{ content, metadata: undefined, filename: '', mediaType: 'text/plain' }]
  const ids = { messageId: crypto.randomUUID(), contextId: 'c1', taskId: '' }
  return { ...ids, role, parts, metadata: undefined, extensions: [], referenceTaskIds: [] }
}

/** The official server, for clients of 1.0 and of 0.3. */
export async function startAgent(): Promise<ReachedAgent> {
  const did: string[] = []
  const executor: AgentExecutor = {
    async execute(_context, bus) {
      did.push('execute')
      bus.publish(AgentEvent.message(message('done', Role.ROLE_AGENT)))
      bus.finished()
    },
    async cancelTask() {
      did.push('cancel')
    },
  }
  const tasks = new InMemoryTaskStore()
  const status = { state: TaskState.TASK_STATE_WORKING, message: undefined, timestamp: undefined }
  await tasks.save(
    { id: TASK, contextId: 'c1', status, artifacts: [], history: [], metadata: undefined },
    new ServerCallContext(),
  )
  const served = SPOKEN.map(({ binding, path, version }) =>
    interfaceAt('http://127.0.0.1', binding, path, version),
  )
  const handling = {
    requestHandler: new DefaultRequestHandler(cardOf(...served), tasks, executor),
    userBuilder: UserBuilder.noAuthentication,
  }
  const app = createMcpExpressApp({ host: '0.0.0.0' })
  app.use('/a2a-rest', restHandler(handling))
  app.use('/a2a', jsonRpcHandler({ ...handling, legacyCompat: { enabled: true } }))
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    did,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
