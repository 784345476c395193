import type { Command } from 'commander'
import type { LogRow } from '#decision-log/port.ts'
import type { Replayed } from '#store/replay-row.ts'
import type { CliContext } from './context.ts'
import { CliFailure, decisionUnknown, EXIT } from './failure.ts'
import { filterOf, type LogFlags, rowsOf, withFilters } from './log-rows.ts'
import type { Services } from './services.ts'
import { instant, positiveNumber } from './values.ts'

const LIMIT_DEFAULT = 100

type ReplayFlags = LogFlags & { readonly limit: number }

/** Completes `warder logs replay` with its options and with what it does. */
export function addReplay(command: Command, context: CliContext): void {
  withFilters(command.argument('[id]', 'decision id; without one, the newest that the filters keep'))
    .option('--limit <number>', 'most decisions without an id', positiveNumber, LIMIT_DEFAULT)
    .option('--until <time>', 'decided before this time', instant)
    .description(
      'decide once more, on policies and registry as they were, and compare; exit 1 when an answer differs',
    )
    .action(async (id: string | undefined, flags: ReplayFlags, self: Command) => {
      const output = context.output(self)
      const counts = { same: 0, different: 0, not_replayable: 0 }
      await context.database(output, async (services) => {
        // Loaded only now: the engine would slow down every other command.
        const { createReplay } = await import('#store/replay-row.ts')
        const replay = createReplay(services)
        for await (const rows of chosen(services, id, flags)) {
          for (const row of rows) {
            const replayed = await replay(row)
            counts[replayed.outcome] += 1
            output.line(replayed, textOf(row, replayed))
          }
        }
      })
      output.note(
        `${counts.same} same, ${counts.different} different, ${counts.not_replayable} not replayable`,
      )
      if (counts.different > 0) {
        const message = `${counts.different} decisions come out differently now`
        throw new CliFailure(EXIT.wrong, { code: 'log.replay_differs', message })
      }
    })
}

async function* chosen(
  { log }: Services,
  id: string | undefined,
  flags: ReplayFlags,
): AsyncGenerator<readonly LogRow[]> {
  if (id === undefined) {
    yield* rowsOf(log, filterOf(flags), flags.limit)
    return
  }
  const row = await log.find(id)
  if (row === undefined) throw decisionUnknown(id)
  yield [row]
}

function textOf(row: LogRow, { outcome, why, differences = [] }: Replayed): string {
  const details = differences.map(
    ({ field, logged, now }) => `${field}: ${JSON.stringify(logged)} is now ${JSON.stringify(now)}`,
  )
  const told = why === undefined ? details.join('; ') : why
  return [row.decision_id, row.decision, outcome.replace('_', ' '), told].join('  ').trimEnd()
}
