import type { Command } from 'commander'
import { type LogBreak, verifyLog } from '#decision-log/verify.ts'
import { type CliContext, tenantOf } from './context.ts'
import { CliFailure, EXIT } from './failure.ts'

/** What each kind of break means, for an operator. */
const MEANING: { readonly [kind in LogBreak['kind']]: string } = {
  edited: 'the row is not what was written',
  gap: 'rows before it are missing',
  reordered: 'a row stands in a place that is taken',
  unlinked: 'it does not continue the row before it; one of the two was replaced',
  returned: 'a row stands where retention had removed one',
  cut: 'rows are missing from here to the end',
  unannounced: 'rows were added past the writer',
  removal: 'the record of removed rows was changed',
}

/** Completes `warder logs verify` with its options and with what it does. */
export function addVerify(command: Command, context: CliContext): void {
  command
    .option('--tenant <tenant>', 'only chains that hold rows of this tenant')
    .option('--writer <id>', 'only this chain')
    .description(
      'check that no row was changed, removed, moved or put in; exit 1 with the first break of each chain',
    )
    .action(async (flags: { readonly tenant?: string; readonly writer?: string }, self: Command) => {
      const output = context.output(self)
      const tenant = flags.tenant === undefined ? undefined : tenantOf(flags.tenant)
      await context.database(output, async ({ chains }) => {
        const scope = { tenant, writer: flags.writer }
        const found = await verifyLog(chains, scope, (done, total) => output.progress('rows', done, total))
        const summary = `${found.rows} rows in ${found.chains} chains, ${found.removed} removed by retention`
        if (found.breaks.length === 0) {
          output.object({ ok: true, ...found }, [`the log is whole: ${summary}`])
          return
        }
        if (output.json) output.object({ ok: false, ...found }, [])
        const details = found.breaks.map((each) => ({
          path: `writer ${each.writer}, place ${each.sequence}`,
          message: `${each.kind}: ${MEANING[each.kind]}${each.decision_id === null ? '' : ` (decision ${each.decision_id})`}`,
          help: undefined,
        }))
        const message = `the log does not hold in ${found.breaks.length} places: ${summary}`
        throw new CliFailure(EXIT.wrong, { code: 'log.broken', message }, details)
      })
    })
}
