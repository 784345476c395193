/** How much harm a tool can do, as the registry says it. */
export type SideEffect = 'read' | 'write' | 'destructive'

/** One tool of the MCP server. */
export interface DemoTool {
  readonly name: string
  readonly description: string
  readonly sideEffect: SideEffect
}

/** Name under which Warder knows the MCP server; a tool is `workbench/NAME`. */
export const SERVER = 'workbench'

/** The one scope of the agent's token. */
export const SCOPE = 'workbench'

/** The tenant of the demo. */
export const TENANT = 'workshop'

/** The software that acts. */
export const AGENT = 'coding-agent'

/** On whose behalf it acts: a maintainer, who may use every tool. */
export const USER = 'alice'

const SIDE_EFFECTS: Readonly<Record<string, SideEffect>> = {
  list: 'read',
  read: 'read',
  create: 'write',
  update: 'write',
  delete: 'destructive',
}
const OBJECTS = [
  'repo',
  'branch',
  'issue',
  'pull_request',
  'comment',
  'pipeline',
  'release',
  'package',
  'customer',
  'invoice',
]
const RISK_TIERS = { read: 'low', write: 'medium', destructive: 'high' } as const

/** The 50 tools: five verbs for ten kinds of objects. */
export const TOOLS: readonly DemoTool[] = OBJECTS.flatMap((object) =>
  Object.entries(SIDE_EFFECTS).map(([verb, sideEffect]) => ({
    name: `${verb}_${object}`,
    description: `${verb} ${object.replace('_', ' ')}`,
    sideEffect,
  })),
)

/** The registry file of the tenant, in its plain sections (docs/cli.md). */
export function registryDocument(): object {
  const tools = TOOLS.map(({ name, sideEffect }) => ({
    id: `${SERVER}/${name}`,
    riskTier: RISK_TIERS[sideEffect],
    sideEffect,
    touches: [],
  }))
  const connect = {
    id: 'mcp/connect',
    riskTier: 'low',
    sideEffect: 'write',
    touches: [],
    route: ['POST /mcp', 'GET /mcp'],
  }
  return {
    groups: ['coding-agents', 'maintainers'],
    users: [{ id: USER, groups: ['maintainers'], clearance: 2 }],
    agents: [{ id: AGENT, owner: USER, groups: ['coding-agents'] }],
    tools: [...tools, connect],
  }
}
