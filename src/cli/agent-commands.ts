import type { Command } from 'commander'
import { type AgentAction, addAgent, agentUnknown, stepAgent } from '#admin/agents.ts'
import type { AgentListing } from '#admin/delegation-ports.ts'
import { systemClock } from '#lib/clock.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantOf, tenantPages } from './context.ts'
import { fromAdmin } from './failure.ts'
import { utcTime } from './table.ts'
import { commaList, positiveNumber, seconds } from './values.ts'

interface AddFlags {
  readonly tenant: string
  readonly owner?: string
  readonly blueprint?: readonly string[]
  readonly groups?: readonly string[]
  readonly environment?: string
  readonly issuer?: string
  readonly expires?: number
  readonly reason: string
}

interface StepFlags {
  readonly tenant: string
  readonly owner?: string
  readonly reason: string
}

interface ListFlags {
  readonly tenant?: string
  readonly dormant?: number
  readonly ownerless?: boolean
  readonly issuerless?: boolean
}

const STEPS: readonly (readonly [AgentAction, string])[] = [
  ['activate', 'let a registered agent act; it needs an owner'],
  ['suspend', 'stop an agent and all that it spawned or delegated to'],
  ['resume', 'let a suspended agent act again'],
  ['retire', 'end an agent and its grants for good; its id is not used again'],
]

/** `warder agent add|list|show|activate|suspend|resume|retire`. */
export function addAgentCommands(program: Command, context: CliContext): void {
  const agent = program.command('agent').description('agents: from their registration to their end')
  addAdd(agent, context)
  addList(agent, context)
  agent
    .command('show')
    .argument('<agent>', 'its id')
    .requiredOption('--tenant <tenant>', 'tenant that it is in')
    .description('show one agent')
    .action(async (id: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store }) => {
        const found = await store.findAgent(tenant, id)
        if (found === undefined) throw fromAdmin(agentUnknown(id))
        const lines = Object.entries(found).map(([name, value]) => `${name}: ${String(value ?? '')}`)
        output.object(found, lines)
      })
    })
  for (const [action, description] of STEPS) addStep(agent, context, action, description)
}

function addAdd(agent: Command, context: CliContext): void {
  agent
    .command('add')
    .argument('<agent>', 'its id, as tokens and gateways name it')
    .requiredOption('--tenant <tenant>', 'tenant that it belongs to')
    .option('--owner <user>', 'who answers for it')
    .option('--blueprint <list>', 'what it was built from', commaList)
    .option('--groups <list>', 'groups that it is in, separated by commas', commaList)
    .option('--environment <name>', 'where it runs (default: any)')
    .option('--issuer <url>', 'the only token issuer that may name it (default: any of the tenant)')
    .option('--expires <duration>', 'when it ends, such as 12h, 30d (default: never)', seconds)
    .requiredOption('--reason <text>', 'why, for whoever asks later')
    .description('register an agent; it can do nothing before it is activated')
    .action(async (id: string, { expires, blueprint, ...flags }: AddFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const request = { ...flags, agent: id, blueprints: blueprint, expiresInSeconds: expires }
        const added = await addAgent(store, request, systemClock())
        if (!added.ok) throw fromAdmin(added.failure)
        output.object(added.value, [`registered ${id}; activate it with \`warder agent activate\``])
      })
    })
}

function addStep(agent: Command, context: CliContext, action: AgentAction, description: string): void {
  const step = agent
    .command(action)
    .argument('<agent>', 'its id')
    .requiredOption('--tenant <tenant>', 'tenant that it is in')
    .requiredOption('--reason <text>', 'why, for whoever asks later')
    .description(description)
  if (action === 'activate' || action === 'resume')
    step.option('--owner <user>', 'who answers for it from now on')
  step.action(async (id: string, flags: StepFlags, command: Command) => {
    const output = context.output(command)
    await context.database(output, async ({ store }) => {
      const changed = await stepAgent(store, action, { ...flags, agent: id }, systemClock())
      if (!changed.ok) throw fromAdmin(changed.failure)
      output.object(changed.value, [`${id} is ${changed.value.status}`])
    })
  })
}

function addList(agent: Command, context: CliContext): void {
  agent
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .option('--dormant <days>', 'only those without a decision for so many days', positiveNumber)
    .option('--ownerless', 'only those that nobody owns')
    .option('--issuerless', 'only those that are registered without an issuer, and not retired')
    .description('list agents')
    .action(async ({ dormant, ownerless, issuerless, ...flags }: ListFlags, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      await context.database(output, async ({ store }) => {
        await output.list<AgentListing>(
          tenantPages(
            store,
            tenant,
            (each, page) => store.listAgents(each, { dormantDays: dormant, ownerless, issuerless }, page),
            (row) => row.agent,
          ),
          [
            ...tenantColumn(tenant),
            { heading: 'agent', cell: (row) => row.agent },
            { heading: 'status', cell: (row) => row.status },
            { heading: 'owner', cell: (row) => row.owner ?? '' },
            { heading: 'blueprint', cell: (row) => row.blueprints.join(' ') },
            { heading: 'expires', cell: (row) => utcTime(row.expires_at) },
            { heading: 'spawned by', cell: (row) => row.spawned_by ?? '' },
            { heading: 'last decision', cell: (row) => utcTime(row.last_decision_at) },
          ],
          'no such agents',
        )
      })
    })
}
