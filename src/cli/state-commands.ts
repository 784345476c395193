import type { Command } from 'commander'
import type { CliContext } from './context.ts'

/** `warder state acknowledge`. */
export function addStateCommands(program: Command, context: CliContext): void {
  program
    .command('state')
    .description('state: what servers know of the database')
    .command('acknowledge')
    .description(
      'accept a restored backup: until then servers deny everything, because it may lack revocations',
    )
    .action(async (_: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ acknowledgeState }) => {
        const { version, rolledBack } = await acknowledgeState()
        const line =
          rolledBack === undefined
            ? `nothing to acknowledge: state version ${version} is not older than what was seen`
            : `accepted state version ${version}; version ${rolledBack.seen} was seen before`
        output.object(
          { version, acknowledged: rolledBack !== undefined, seen: rolledBack?.seen ?? version },
          [line],
        )
      })
    })
}
