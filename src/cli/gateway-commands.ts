import type { Command } from 'commander'
import type { GatewaySettingsRequest } from '#admin/gateway-settings.ts'
import { addGateway, revokeGateway, rotateGateway, setGateway } from '#admin/gateways.ts'
import { systemClock } from '#lib/clock.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'
import { commaList, repeated, wholeNumber } from './values.ts'

interface AddFlags {
  readonly tenant: string
  readonly assert?: readonly string[]
  readonly userOnly?: boolean
  readonly obligations?: readonly string[]
  readonly certificateSha256?: string
}

interface SettingFlags {
  readonly externalUrl?: string
  readonly externalHost?: readonly string[]
  readonly certificateSource?: string
  readonly audience?: readonly string[]
  readonly resourceMetadata?: string
  readonly apiKeys?: string
}

/** `warder gateway add|set|list|rotate|revoke`. */
export function addGatewayCommands(program: Command, context: CliContext): void {
  const gateway = program.command('gateway').description('gateways: who may ask for decisions')
  addAdd(gateway, context)
  addSet(gateway, context)
  addList(gateway, context)
  addRotate(gateway, context)
  addRevoke(gateway, context)
}

function withSettings(command: Command): Command {
  return command
    .option('--external-url <url>', 'base URL that clients reach it under; proofs are about it')
    .option('--external-host <host>', 'a further host that clients may use; may be repeated', repeated)
    .option(
      '--certificate-source <source>',
      'how it passes client certificates on: tls, envoy, xfcc, nginx or rfc9440',
    )
    .option('--audience <audience>', 'audience that tokens must have here; may be repeated', repeated)
    .option('--resource-metadata <url>', 'its protected resource metadata (RFC 9728), told in challenges')
    .option('--api-keys <accept>', '`accept`: agents may send API keys of ours through it (default: refused)')
}

/** `none` removes a setting. */
function settingsOf(flags: SettingFlags): GatewaySettingsRequest {
  const one = (text: string | undefined) => (text === 'none' ? null : text)
  const many = (list: readonly string[] | undefined) => (list?.join() === 'none' ? null : list)
  return {
    externalUrl: one(flags.externalUrl),
    externalHosts: many(flags.externalHost),
    certificateSource: one(flags.certificateSource),
    audience: many(flags.audience),
    resourceMetadata: one(flags.resourceMetadata),
    apiKeys: one(flags.apiKeys),
  }
}

function addSet(gateway: Command, context: CliContext): void {
  withSettings(gateway.command('set').argument('<name>', 'name of the gateway'))
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('change what a gateway is registered with beyond its key; `none` removes a setting')
    .action(async (name: string, flags: SettingFlags & { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const set = await setGateway(store, { name, tenant: flags.tenant, settings: settingsOf(flags) })
        if (!set.ok) throw fromAdmin(set.failure)
        output.object(set.value, settingLines(set.value.settings))
      })
    })
}

function settingLines(settings: GatewaySettings): readonly string[] {
  const lines = Object.entries(settings).map(([name, value]) => `${name}: ${[value].flat().join(', ')}`)
  return lines.length === 0 ? ['no settings'] : lines
}

function addAdd(gateway: Command, context: CliContext): void {
  withSettings(gateway.command('add'))
    .argument('<name>', 'name of the gateway, unique in its tenant')
    .requiredOption('--tenant <tenant>', 'tenant whose decisions it asks for')
    .option(
      '--assert <kinds>',
      'facts that it may assert, separated by commas: identity, properties, context, or none (default: all in the JSON dialects, none in the header dialects)',
      commaList,
    )
    .option('--user-only', 'it may ask for a user without an agent')
    .option(
      '--obligations <types>',
      'obligations that it carries out, or none (default: those of its dialect)',
      commaList,
    )
    .option(
      '--certificate-sha256 <hex>',
      'SHA-256 of the client certificate that it proves itself with, in place of a key (needs WARDER_TLS_CLIENT_CA)',
    )
    .description('register a gateway and print its key, this once')
    .action(async (name: string, flags: AddFlags & SettingFlags, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const { assert: asserts, userOnly = false, tenant, obligations, certificateSha256 } = flags
        const facts = { asserts, userOnly, obligations, certificateSha256, settings: settingsOf(flags) }
        const added = await addGateway(store, { name, tenant, ...facts })
        if (!added.ok) throw fromAdmin(added.failure)
        const { key } = added.value
        output.object(added.value, [key ?? `added gateway ${name}, which proves itself with its certificate`])
        if (key !== null) output.note(`added gateway ${name}; its key is shown only this once`)
      })
    })
}

function addList(gateway: Command, context: CliContext): void {
  gateway
    .command('list')
    .option('--tenant <tenant>', 'only those of one tenant')
    .description('list gateways with the beginnings of their valid keys')
    .action(async (flags: { readonly tenant?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = flags.tenant === undefined ? undefined : tenantOf(flags.tenant)
      await context.database(output, async ({ store }) => {
        if (tenant !== undefined) await requireTenant(store, tenant)
        await output.list(
          allPages(
            (page) => store.listGateways(tenant, page),
            (row) => (tenant === undefined ? `${row.tenant}/${row.name}` : row.name),
          ),
          [
            { heading: 'tenant', cell: (row) => row.tenant },
            { heading: 'gateway', cell: (row) => row.name },
            { heading: 'asserts', cell: (row) => words(row.asserts) },
            { heading: 'user only', cell: (row) => (row.user_only ? 'yes' : 'no') },
            { heading: 'obligations', cell: (row) => words(row.obligations) },
            { heading: 'settings', cell: (row) => settingWords(row.settings) },
            { heading: 'keys', cell: (row) => row.key_hints.join(' ') || '-' },
            { heading: 'created', cell: (row) => utcTime(row.created_at) },
            { heading: 'revoked', cell: (row) => utcTime(row.revoked_at) },
          ],
          'no gateways yet; add one with `warder gateway add NAME --tenant TENANT`',
        )
      })
    })
}

function addRotate(gateway: Command, context: CliContext): void {
  gateway
    .command('rotate')
    .argument('<name>', 'name of the gateway')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .option('--keep-seconds <seconds>', 'how long the older keys stay valid', wholeNumber, 3600)
    .description('make a new key and print it, this once')
    .action(
      async (
        name: string,
        flags: { readonly tenant: string; readonly keepSeconds: number },
        command: Command,
      ) => {
        const output = context.output(command)
        await context.database(output, async ({ store }) => {
          const rotated = await rotateGateway(store, { name, ...flags }, systemClock())
          if (!rotated.ok) throw fromAdmin(rotated.failure)
          output.object(rotated.value, [rotated.value.key])
          output.note(
            `older keys of ${name} stop working in ${flags.keepSeconds} s; the new one is shown only this once`,
          )
        })
      },
    )
}

function addRevoke(gateway: Command, context: CliContext): void {
  gateway
    .command('revoke')
    .argument('<name>', 'name of the gateway')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('end a gateway: all its keys stop working')
    .action(async (name: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const revoked = await revokeGateway(store, { name, tenant: flags.tenant })
        if (!revoked.ok) throw fromAdmin(revoked.failure)
        output.object({ ...revoked.value, revoked: true }, [`revoked gateway ${name}`])
      })
    })
}

function settingWords(settings: GatewaySettings | null): string {
  const { externalUrl, certificateSource } = settings ?? {}
  return [externalUrl, certificateSource].filter((word) => word !== undefined).join(' ') || '-'
}

function words(list: readonly string[] | null): string {
  if (list === null) return 'default'
  return list.length === 0 ? 'none' : list.join(',')
}
