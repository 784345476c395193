import { connectAgent, type DemoAgent, sendRaw } from './agent.ts'
import { CUSTOMER } from './mcp-server.ts'
import type { Approve } from './obligations.ts'
import type { Stage } from './stage.ts'
import type { Story } from './story.ts'
import { AGENT, SCOPE, TENANT, TOOLS, USER } from './tools.ts'

/** Version of the release that the demo's maintainer approves; they decline every other one. */
const APPROVED_VERSION = '1.0.1'

/** Stands for the people who approve: prints the question and answers as a maintainer would who expects 1.0.1. */
export function maintainer(story: Story): Approve {
  return (call, approvers, timeoutSeconds) => {
    const approved = call.includes(`"${APPROVED_VERSION}"`)
    story.line(`? MCP gateway to ${approvers.join(', ')} (${timeoutSeconds} s): ${call}`)
    story.line(`  answer: ${approved ? 'approved' : 'declined'}`)
    return Promise.resolve(approved)
  }
}

/** Plays every scene and checks what the agent got and what the MCP server really ran. */
export async function playScenes(stage: Stage, story: Story): Promise<void> {
  const token = await stage.issuer.token(AGENT, USER, { tenant: TENANT, scope: SCOPE })
  await knockWithout(stage, story)
  story.chapter(`${AGENT} connects for ${USER} with one token, scope "${SCOPE}", good for all 50 tools`)
  const agent = await connectAgent(stage.url, token)
  try {
    const tools = await agent.listTools()
    story.check(
      `the token opens the door, the agent sees ${tools.length} tools`,
      tools.length === TOOLS.length,
    )
    await allowed(agent, stage, story)
    await denied(agent, stage, story, token)
    await redacted(agent, story)
    await approved(agent, stage, story)
  } finally {
    await agent.close()
  }
}

async function knockWithout(stage: Stage, story: Story): Promise<void> {
  const who = stage.hasEnvoy ? 'Envoy, told by Warder' : 'the MCP gateway'
  story.chapter(`The coarse check, by ${who}: may this token speak to the MCP server at all?`)
  const list = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }
  const bare = await sendRaw(stage.url, {}, list)
  story.check(`without a token: ${bare.status}`, bare.status === 401)
  const narrow = await stage.issuer.token(AGENT, USER, { tenant: TENANT, scope: 'mail' })
  const other = await sendRaw(stage.url, { authorization: `Bearer ${narrow}` }, list)
  story.check(`with a token of another scope: ${other.status}`, other.status === 403)
}

async function allowed(agent: DemoAgent, { mcpServer }: Stage, story: Story): Promise<void> {
  story.chapter('list_repo: allowed')
  const { result } = await agent.call('list_repo')
  const isThere = result?.['done'] === 'list_repo' && ran(mcpServer, 'list_repo') === 1
  story.check('Warder permits both parties, the MCP server ran it', isThere)
}

async function denied(agent: DemoAgent, stage: Stage, story: Story, token: string): Promise<void> {
  story.chapter('delete_repo: denied, though the token would do and the user may')
  const { reason, message } = await agent.call('delete_repo', { repo: 'website' })
  story.check(`Warder says ${reason}: "${message}"`, reason === 'policy.forbid')
  const body = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'delete_repo', arguments: {} } }
  const headers = { authorization: `Bearer ${token}`, 'mcp-name': 'list_repo' }
  const disguised = await sendRaw(stage.url, headers, body)
  const isDenied = disguised.text.includes('policy.forbid')
  story.check('with a header that says list_repo: denied, because the body is read', isDenied)
  const twice = await sendRaw(stage.url, { authorization: `Bearer ${token}` }, [body, body])
  story.check(`hidden in a batch: ${twice.status}`, twice.status === 400)
  story.check('the MCP server never ran it', ran(stage.mcpServer, 'delete_repo') === 0)
}

async function redacted(agent: DemoAgent, story: Story): Promise<void> {
  story.chapter('read_customer: allowed with the obligation `redact`')
  const { result } = await agent.call('read_customer', { id: CUSTOMER.id })
  story.line(`MCP server: ${JSON.stringify(CUSTOMER)}`)
  story.line(`agent:      ${JSON.stringify(result)}`)
  const seen = JSON.stringify(result ?? {})
  const isRedacted = !seen.includes(CUSTOMER.email) && !seen.includes(CUSTOMER.iban)
  story.check('the MCP gateway removed email and iban', result?.['name'] === CUSTOMER.name && isRedacted)
}

async function approved(agent: DemoAgent, { mcpServer }: Stage, story: Story): Promise<void> {
  story.chapter('create_release: allowed with the obligation `human_approval`')
  const yes = await agent.call('create_release', { repo: 'website', version: APPROVED_VERSION })
  const ranOnce = ran(mcpServer, 'create_release') === 1
  story.check('approved: the MCP server ran it', yes.result?.['done'] === 'create_release' && ranOnce)
  const no = await agent.call('create_release', { repo: 'website', version: '2.0.0' })
  const stillOnce = ran(mcpServer, 'create_release') === 1
  story.check(`declined: ${no.reason}, it did not run`, no.reason === 'gateway.not_approved' && stillOnce)
}

function ran({ ran: names }: Stage['mcpServer'], tool: string): number {
  return names.filter((name) => name === tool).length
}
