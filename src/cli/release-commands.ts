import type { Command } from 'commander'
import { refused } from '#admin/failure.ts'
import type { AdminStore } from '#admin/ports.ts'
import { findReleaseId } from '#admin/push-release.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import {
  type CliContext,
  optionalTenant,
  requireTenant,
  tenantColumn,
  tenantOf,
  tenantPages,
} from './context.ts'
import { fromAdmin } from './failure.ts'
import { printable, utcTime } from './table.ts'

/** `warder policy list|show`. */
export function addReleaseCommands(policy: Command, context: CliContext): void {
  policy
    .command('list')
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .description('list the pushed releases, newest first')
    .action(async (flags: { readonly tenant?: string }, command: Command) => {
      const output = context.output(command)
      const tenant = optionalTenant(flags.tenant)
      await context.database(output, async ({ store }) => {
        await output.list(
          tenantPages(
            store,
            tenant,
            (each, page) => store.listReleases(each, page),
            (row) => row.release,
          ),
          [
            ...tenantColumn(tenant),
            { heading: 'release', cell: (row) => row.release },
            { heading: 'active', cell: (row) => (row.active ? 'active' : '-') },
            { heading: 'pushed', cell: (row) => utcTime(row.pushed_at) },
            { heading: 'policies', cell: (row) => `${row.policies}` },
            { heading: 'vocabulary', cell: (row) => row.vocabulary },
            { heading: 'validated', cell: (row) => (row.validated ? 'yes' : 'unvalidated') },
          ],
          'no releases yet; push one with `warder policy push DIR --tenant TENANT`',
        )
      })
    })
  policy
    .command('show')
    .argument('[release]', 'release id, or its first eight or more digits (default: the active release)')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('print a release with its source files')
    .action(async (name: string | undefined, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store }) => {
        await requireTenant(store, tenant)
        const { header, sources } = await releaseNamed(store, tenant, name)
        const { id, vocabulary, validated, policyCount } = header
        const active = (await store.findRelease(tenant, 'active'))?.header.id === id
        const state = `${active ? 'active' : 'not active'}; ${policyCount} policies with guardrails`
        output.object(
          { release: id, tenant, active, vocabulary, validated, policies: policyCount, sources },
          [
            `${id} (${state}${validated ? '' : '; unvalidated'})`,
            ...sources.flatMap(({ name: file, text }) => [
              '',
              `==> ${file}`,
              ...text.trimEnd().split('\n').map(printable),
            ]),
          ],
        )
      })
    })
}

async function releaseNamed(store: AdminStore, tenant: TenantId, name: string | undefined) {
  const id = name === undefined ? 'active' : await idOf(store, tenant, name)
  const release = await store.findRelease(tenant, id)
  if (release !== undefined) return release
  const what = name === undefined ? 'active release' : `release \`${name}\``
  throw fromAdmin(
    refused(
      'release.unknown',
      `the tenant \`${tenant}\` has no ${what}`,
      `list them with \`warder policy list --tenant ${tenant}\``,
    ),
  )
}

async function idOf(store: AdminStore, tenant: TenantId, name: string): Promise<ReleaseId> {
  const id = await findReleaseId(store, tenant, name)
  if (!id.ok) throw fromAdmin(id.failure)
  return id.value
}
