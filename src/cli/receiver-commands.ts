import type { Command } from 'commander'
import { addReceiver, removeReceiver } from '#admin/receivers.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { fromAdmin } from './failure.ts'
import { allPages } from './paging.ts'
import { utcTime } from './table.ts'

interface AddFlags {
  readonly tenant: string
  readonly webhook?: boolean
  readonly audience?: string
  readonly privateNetwork?: boolean
}

/** `warder signal receiver add|list|remove`. */
export function addReceiverCommands(signal: Command, context: CliContext): void {
  const receiver = signal
    .command('receiver')
    .description("receivers: who is told of a tenant's revocations, by signed events")
  receiver
    .command('add')
    .argument('<name>', 'name of the receiver, unique in its tenant')
    .argument('<url>', 'where events are pushed to')
    .requiredOption('--tenant <tenant>', 'tenant whose revocations it is told of')
    .option(
      '--webhook',
      'a gateway: told of every revocation, as in the stream (default: CAEP session-revoked)',
    )
    .option('--audience <audience>', '`aud` of the events (default: the URL)')
    .option('--private-network', 'the URL may lead into a private network or to this machine')
    .description('tell somebody of revocations from now on')
    .action(async (name: string, url: string, flags: AddFlags, command: Command) => {
      const output = context.output(command)
      const { tenant, audience, privateNetwork = false } = flags
      const kind = flags.webhook === true ? 'webhook' : 'caep'
      await context.database(output, async ({ signals }) => {
        const added = await addReceiver(signals, { tenant, name, url, kind, audience, privateNetwork })
        if (!added.ok) throw fromAdmin(added.failure)
        output.object(added.value, [`added receiver ${name} (${kind})`])
      })
    })
  receiver
    .command('list')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('list receivers, and what waits for them')
    .action(async (flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store, signals }) => {
        await requireTenant(store, tenant)
        await output.list(
          allPages(
            (page) => signals.listReceivers(tenant, page),
            (row) => row.name,
          ),
          [
            { heading: 'receiver', cell: (row) => row.name },
            { heading: 'kind', cell: (row) => row.kind },
            { heading: 'url', cell: (row) => row.url },
            { heading: 'waiting', cell: (row) => `${row.waiting}` },
            { heading: 'created', cell: (row) => utcTime(row.created_at) },
          ],
          'no receivers yet; add one with `warder signal receiver add NAME URL --tenant TENANT`',
        )
      })
    })
  receiver
    .command('remove')
    .argument('<name>', 'name of the receiver')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('tell it nothing more; what waits for it is dropped')
    .action(async (name: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ signals }) => {
        const removed = await removeReceiver(signals, { tenant: flags.tenant, name })
        if (!removed.ok) throw fromAdmin(removed.failure)
        output.object({ ...removed.value, removed: true }, [`removed receiver ${name}`])
      })
    })
}
