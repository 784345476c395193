import type { Command } from 'commander'
import type { CliContext } from './context.ts'

/** Completes `warder logs maintain` with what it does. */
export function addMaintain(command: Command, context: CliContext): void {
  command
    .description(
      'make partitions ahead, remove rows past the retention of their tenants, build search indexes; a server does so every hour',
    )
    .action(async (_: unknown, self: Command) => {
      const output = context.output(self)
      await context.database(output, async ({ maintain }) => {
        const report = await maintain({
          onProgress: (text) => output.note(text),
          signal: context.options.signal,
        })
        output.object(
          report,
          report.ran
            ? [
                `partitions made: ${listed(report.made)}`,
                `partitions dropped: ${listed(report.dropped)}`,
                `rows removed by retention: ${report.removed}`,
                `indexes built: ${listed(report.indexed)}`,
              ]
            : ['another process maintains the log at this moment'],
        )
      })
    })
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
