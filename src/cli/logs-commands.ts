import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { CliFailure, EXIT } from './failure.ts'
import { filterOf, type LogFlags, rowsOf, withFilters } from './log-rows.ts'
import { LOG_COLUMNS, logDetails } from './log-text.ts'
import { addTail } from './logs-tail.ts'
import { instant, positiveNumber } from './values.ts'

const LIMIT_DEFAULT = 100

/** `warder logs tail|show|query`. */
export function addLogsCommands(program: Command, context: CliContext): void {
  const logs = program.command('logs').description('decisions: what was decided and why')
  addTail(withFilters(logs.command('tail')), context)
  logs
    .command('show')
    .argument('<id>', 'decision id, as in the header X-Decision-Id of the answer')
    .description('print one decision with everything that the log keeps')
    .action(async (id: string, _: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ log }) => {
        const row = await log.find(id)
        if (row === undefined) {
          const message = `there is no decision \`${id.slice(0, 80)}\` in the log`
          throw new CliFailure(EXIT.refused, { code: 'decision.unknown', message })
        }
        output.object(row, logDetails(row))
      })
    })
  withFilters(logs.command('query'))
    .option('--limit <number>', 'most rows; any number', positiveNumber, LIMIT_DEFAULT)
    .option('--until <time>', 'decided before this time', instant)
    .description('print decisions, newest first')
    .action(async (flags: LogFlags & { readonly limit: number }, command: Command) => {
      const output = context.output(command)
      const filter = filterOf(flags)
      await context.database(output, ({ log }) =>
        output.list(rowsOf(log, filter, flags.limit), LOG_COLUMNS, 'no decisions'),
      )
    })
}
