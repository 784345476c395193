import type { Command } from 'commander'
import type { ApiKeyListing } from '#admin/api-key-ports.ts'
import { addApiKey, revokeApiKey, rotateApiKey } from '#admin/api-keys.ts'
import { systemClock } from '#lib/clock.ts'
import { type CliContext, optionalTenant, tenantColumn, tenantPages } from './context.ts'
import { fromAdmin } from './failure.ts'
import { utcTime } from './table.ts'
import { repeated, seconds } from './values.ts'

interface AddFlags {
  readonly tenant: string
  readonly agent: string
  readonly expires?: number
  readonly certificate?: string
  readonly key?: string
  readonly scope?: readonly string[]
  readonly gateway?: readonly string[]
}

interface RotateFlags {
  readonly tenant: string
  readonly keep?: number
  readonly expires?: number
}

const EXPIRES = 'when it ends, such as 12h, 30d, at most a year (default: 90d)'
const KEEP_SECONDS_DEFAULT = 86_400

/** `warder apikey add|list|rotate|revoke`. */
export function addApiKeyCommands(program: Command, context: CliContext): void {
  const apiKey = program.command('apikey').description('API keys: secrets of agents that get no tokens')
  addAdd(apiKey, context)
  addList(apiKey, context)
  apiKey
    .command('rotate')
    .argument('<name>', 'name of the key')
    .requiredOption('--tenant <tenant>', 'tenant that it is in')
    .option('--keep <duration>', 'how long the older secrets stay valid (default: 24h)', seconds)
    .option('--expires <duration>', EXPIRES, seconds)
    .description('make a new secret of a key and print it, this once')
    .action(
      async (
        name: string,
        { keep = KEEP_SECONDS_DEFAULT, expires, tenant }: RotateFlags,
        command: Command,
      ) => {
        const output = context.output(command)
        await context.database(output, async ({ store }) => {
          const request = { name, tenant, keepSeconds: keep, expiresInSeconds: expires }
          const rotated = await rotateApiKey(store, request, systemClock())
          if (!rotated.ok) throw fromAdmin(rotated.failure)
          output.object(rotated.value, [rotated.value.key])
          output.note(`rotated API key ${name}; the new secret is shown only this once`)
        })
      },
    )
  apiKey
    .command('revoke')
    .argument('<name>', 'name of the key')
    .requiredOption('--tenant <tenant>', 'tenant that it is in')
    .requiredOption('--reason <text>', 'why, for whoever asks later')
    .description('end every secret of a key on every server')
    .action(
      async (name: string, flags: { readonly tenant: string; readonly reason: string }, command: Command) => {
        const output = context.output(command)
        await context.database(output, async ({ store }) => {
          const revoked = await revokeApiKey(store, { ...flags, name })
          if (!revoked.ok) throw fromAdmin(revoked.failure)
          output.object(revoked.value, [`revoked API key ${name}`])
        })
      },
    )
}

function addAdd(apiKey: Command, context: CliContext): void {
  apiKey
    .command('add')
    .argument('<name>', 'name of the key, never used again')
    .requiredOption('--tenant <tenant>', 'tenant of the agent')
    .requiredOption('--agent <agent>', 'registered agent that it stands for')
    .option('--expires <duration>', EXPIRES, seconds)
    .option('--certificate <sha256>', 'certificate that the agent has to prove beside it')
    .option('--key <thumbprint>', 'public key (RFC 7638) that the agent has to prove beside it, by DPoP')
    .option('--scope <scope>', 'scope that it has, where a tool demands any; may be repeated', repeated)
    .option('--gateway <name>', 'gateway that it may come through; may be repeated (default: any)', repeated)
    .description('make an API key for an agent and print it, this once')
    .action(async (name: string, { expires, scope, gateway, ...flags }: AddFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const request = { ...flags, name, scopes: scope, gateways: gateway, expiresInSeconds: expires }
        const added = await addApiKey(store, request, systemClock())
        if (!added.ok) throw fromAdmin(added.failure)
        output.object(added.value, [added.value.key])
        output.note(`added API key ${name} of ${flags.agent}; it is shown only this once`)
      })
    })
}

function addList(apiKey: Command, context: CliContext): void {
  apiKey
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .option('--agent <agent>', 'only those of this agent')
    .option('--all', 'revoked and expired ones too')
    .description('list API keys with their beginnings')
    .action(
      async (
        {
          agent,
          all,
          ...flags
        }: { readonly tenant?: string; readonly agent?: string; readonly all?: boolean },
        command: Command,
      ) => {
        const output = context.output(command)
        const tenant = optionalTenant(flags.tenant)
        const filter = { agent, includeOver: all === true }
        await context.database(output, async ({ store }) => {
          await output.list<ApiKeyListing>(
            tenantPages(
              store,
              tenant,
              (each, page) => store.listApiKeys(each, filter, page),
              (row) => `${row.name}/${row.id}`,
            ),
            [
              ...tenantColumn(tenant),
              { heading: 'key', cell: (row) => row.name },
              { heading: 'agent', cell: (row) => row.agent },
              { heading: 'begins', cell: (row) => row.hint },
              { heading: 'id', cell: (row) => row.id },
              { heading: 'bound', cell: ({ bound_to: bound }) => Object.keys(bound ?? {}).join('+') || 'no' },
              { heading: 'scopes', cell: ({ scopes }) => scopes.join(' ') || 'none' },
              { heading: 'gateways', cell: ({ gateways }) => gateways?.join(' ') ?? 'any' },
              { heading: 'expires', cell: (row) => utcTime(row.expires_at) },
              { heading: 'revoked', cell: (row) => utcTime(row.revoked_at) },
            ],
            'no API keys; add one with `warder apikey add NAME --tenant TENANT --agent AGENT`',
          )
        })
      },
    )
}
