import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findEnvoy } from '../test/e2e/binaries.ts'
import { envoyStarter } from '../test/e2e/gateway-process.ts'
import { createIssuer, type TestIssuer } from '../test/e2e/issuer.ts'
import { startWarder, type Warder } from '../test/e2e/warder.ts'
import { warderAt } from './decide.ts'
import { isObject, parseJson, textOf } from './json.ts'
import { startMcpGateway } from './mcp-gateway.ts'
import { type McpServer, startMcpServer } from './mcp-server.ts'
import { type Approve, SUPPORTED } from './obligations.ts'
import type { Story } from './story.ts'
import { registryDocument, TENANT } from './tools.ts'

/** Everything that the demo runs, in place. */
export interface Stage {
  readonly warder: Warder
  readonly issuer: TestIssuer
  readonly mcpServer: McpServer
  /** Where the agent goes. */
  readonly url: string
  /** Whether a real Envoy stands in front. */
  readonly hasEnvoy: boolean
}

/** Takes what must be undone at the end, in reverse order. */
export type AtEnd = (undo: () => Promise<void> | void) => void

/** Starts the servers, fills the tenant through the command line and puts the gateways in front. */
export async function setStage(story: Story, approve: Approve, atEnd: AtEnd): Promise<Stage> {
  story.chapter('Setting the stage')
  const envoy = await realEnvoy(story)
  const mcpServer = await startMcpServer()
  atEnd(() => mcpServer.close())
  story.line(`MCP server: the official SDK over streamable HTTP, 50 tools, on port ${mcpServer.port}`)
  const warder = await startWarder()
  atEnd(() => warder.remove())
  story.line(`Warder: with a database of its own in a temporary folder, on port ${warder.decisionPort}`)
  const issuer = await createIssuer()
  const folder = mkdtempSync(join(tmpdir(), 'warder-demo-'))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  const run = commands(warder, story)
  await fillTenant(run, folder, issuer)
  const decide = warderAt(
    warder.decisionPort,
    await run.key('gateway', 'add', 'mcp-gateway', '--tenant', TENANT, '--obligations', SUPPORTED.join(',')),
  )
  const isFirst = envoy === undefined
  const gateway = await startMcpGateway({ upstreamPort: mcpServer.port, decide, approve, isFirst })
  atEnd(() => gateway.close())
  story.line(
    `MCP gateway: demo/mcp-gateway.ts, asks POST /v1/decide about each tool, on port ${gateway.port}`,
  )
  if (envoy === undefined) return { ...scene(gateway.port), hasEnvoy: false }
  const { decisionPort, extAuthzPort } = warder
  const key = await run.key('gateway', 'add', 'envoy', '--tenant', TENANT)
  const front = await envoyStarter(envoy)({ key, decisionPort, extAuthzPort, upstreamPort: gateway.port })
  atEnd(() => front.stop())
  story.line(
    `Envoy: integrations/envoy/envoy.yaml, asks over ext_authz about each request, on port ${front.port}`,
  )
  return { ...scene(front.port), hasEnvoy: true }

  function scene(port: number) {
    return { warder, issuer, mcpServer, url: `http://127.0.0.1:${port}/mcp` }
  }
}

async function realEnvoy(story: Story): Promise<string | undefined> {
  try {
    const envoy = await findEnvoy(false)
    story.line(`Envoy: a real one, ${envoy}`)
    return envoy
  } catch {
    story.line('Envoy: there is none (set ENVOY_PATH, or install python3 with venv), so the MCP gateway')
    story.line('       stands alone in front and makes the coarse check as well')
    return undefined
  }
}

async function fillTenant(run: Commands, folder: string, issuer: TestIssuer): Promise<void> {
  const registry = join(folder, 'registry.json')
  const trusted = join(folder, 'issuer.json')
  writeFileSync(registry, JSON.stringify(registryDocument()))
  writeFileSync(trusted, JSON.stringify(issuer.document))
  await run.plain('tenant', 'add', TENANT)
  await Promise.all([
    run.plain('registry', 'import', registry, '--tenant', TENANT),
    run.plain('issuer', 'add', trusted, '--tenant', TENANT),
    run.plain('policy', 'push', 'demo/policies', '--tenant', TENANT, '--activate'),
  ])
}

interface Commands {
  plain(...args: readonly string[]): Promise<void>
  /** A command that makes a key; the key is not printed. */
  key(...args: readonly string[]): Promise<string>
}

function commands(warder: Warder, story: Story): Commands {
  return {
    async plain(...args) {
      await warder.cli(...args)
      story.line(`$ warder ${args.join(' ')}`)
    },
    async key(...args) {
      const added = parseJson(await warder.cli(...args, '--json'))
      story.line(`$ warder ${args.join(' ')}`)
      const key = isObject(added) ? textOf(added['key']) : ''
      if (key === '') throw new Error(`\`warder ${args.join(' ')}\` printed no key`)
      return key
    },
  }
}
