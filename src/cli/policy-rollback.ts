import type { Command } from 'commander'
import { rollbackRelease } from '#admin/rollback-release.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { fromAdmin } from './failure.ts'

/** `warder policy rollback`. */
export function addRollbackCommand(policy: Command, context: CliContext): void {
  policy
    .command('rollback')
    .requiredOption('--tenant <tenant>', 'whose active release')
    .description(
      'activate the release that was active before the present one; a second time goes forward again',
    )
    .action(async (flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      await context.database(output, async ({ store }) => {
        await requireTenant(store, tenant)
        const before = (await store.findRelease(tenant, 'active'))?.header.id
        const rolled = await rollbackRelease(store, { tenant })
        if (!rolled.ok) throw fromAdmin(rolled.failure)
        const { release } = rolled.value
        output.object({ tenant, release, before, active: true }, [
          `activated ${release}`,
          `what was active before: ${before}`,
        ])
      })
    })
}
