import type { Command } from 'commander'
import { readReleaseFiles } from '#admin/release-files.ts'
import { writePolicyFolder } from '#admin/write-policy-folder.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { fromAdmin } from './failure.ts'
import { printable } from './table.ts'

interface PullFlags {
  readonly tenant: string
  readonly release?: string
  readonly force?: boolean
}

/** `warder policy pull`. */
export function addPullCommand(policy: Command, context: CliContext): void {
  policy
    .command('pull')
    .argument('<dir>', 'folder to write; must be missing or empty')
    .requiredOption('--tenant <tenant>', 'whose release')
    .option('--release <release>', 'its id, or the first eight or more digits (default: the active release)')
    .option(
      '--force',
      'write into a folder that holds files; policy files that the release lacks are removed',
    )
    .description('write the files of a release as they were pushed, without the shipped guardrails')
    .action(async (directory: string, flags: PullFlags, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      const found = await context.database(output, async ({ store }) => {
        await requireTenant(store, tenant)
        return await readReleaseFiles(store, tenant, flags.release ?? 'active')
      })
      if (!found.ok) throw fromAdmin(found.failure)
      const { release, files } = found.value
      const written = await writePolicyFolder(directory, files, flags.force === true)
      if (!written.ok) throw fromAdmin(written.failure)
      const names = files.map(({ name }) => name)
      const { removed } = written.value
      output.object({ release, tenant, directory, files: names, removed }, [
        ...names.map((name) => `wrote ${printable(name)}`),
        ...removed.map((name) => `removed ${printable(name)}`),
        `${release}: ${names.length} files in ${directory}`,
      ])
    })
}
