import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { decisionUnknown } from './failure.ts'
import { filterOf, type LogFlags, rowsOf, withFilters } from './log-rows.ts'
import { LOG_COLUMNS, logDetails } from './log-text.ts'
import { addExport } from './logs-export.ts'
import { addMaintain } from './logs-maintain.ts'
import { addReplay } from './logs-replay.ts'
import { addTail } from './logs-tail.ts'
import { addVerify } from './logs-verify.ts'
import { instant, positiveNumber } from './values.ts'

const LIMIT_DEFAULT = 100

/** `warder logs tail|show|query|export|verify|replay|maintain`. */
export function addLogsCommands(program: Command, context: CliContext): void {
  const logs = program.command('logs').description('decisions: what was decided and why')
  addTail(withFilters(logs.command('tail')), context)
  logs
    .command('show')
    .argument('<id>', 'decision id, as in the header X-Decision-Id of the answer')
    .description('print one decision with everything that the log keeps')
    .action(async (id: string, _: unknown, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ log, correction }) => {
        const row = await log.find(id)
        if (row === undefined) throw decisionUnknown(id)
        const corrected_by = (await correction(row))?.decision_id
        const note = `corrected by ${corrected_by}: this answer did not leave, the caller got a deny`
        output.object({ ...row, ...(corrected_by && { corrected_by }) }, [
          ...logDetails(row),
          ...(corrected_by === undefined ? [] : [note]),
        ])
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
  addExport(logs.command('export'), context)
  addVerify(logs.command('verify'), context)
  addReplay(logs.command('replay'), context)
  addMaintain(logs.command('maintain'), context)
}
