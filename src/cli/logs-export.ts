import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { type Command, Option } from 'commander'
import type { LogRow } from '#decision-log/port.ts'
import type { CliContext } from './context.ts'
import { csvLine } from './csv.ts'
import { CliFailure, EXIT } from './failure.ts'
import { filterOf, type LogFlags, rowsOf, withFilters } from './log-rows.ts'
import type { CliOptions } from './options.ts'
import type { Output } from './output.ts'
import { instant } from './values.ts'

type ExportFlags = LogFlags & { readonly format: 'ndjson' | 'csv'; readonly output?: string }

/** Columns of a CSV export, in the order of the table. */
const COLUMNS = [
  'decision_id',
  'tenant',
  'decided_at',
  'decision',
  'reason',
  'agent',
  'user',
  'subject',
  'tool',
  'action',
  'resource',
  'gateway',
  'dialect',
  'request_id',
  'traceparent',
  'release',
  'state_version',
  'duration_us',
  'policies',
  'reasons',
  'obligations',
  'facts',
  'trace',
  'writer',
  'sequence',
  'previous_hash',
  'hash',
] as const satisfies readonly (keyof LogRow)[]

/** Rows between two lines of progress. */
const PROGRESS_ROWS = 10_000

/** Completes `warder logs export` with its options and with what it does. One page of rows is in memory at a time. */
export function addExport(command: Command, context: CliContext): void {
  withFilters(command)
    .option('--until <time>', 'decided before this time', instant)
    .addOption(
      new Option('--format <format>', 'one JSON object on each line, or a table')
        .choices(['ndjson', 'csv'])
        .default('ndjson'),
    )
    .option('--output <file>', 'write to a new file that only its owner can read (default: standard output)')
    .description('write all decisions, newest first; rows that are added meanwhile are left out')
    .action(async (flags: ExportFlags, self: Command) => {
      const output = context.output(self)
      // Pages go back in time, and a bound keeps rows of this moment, which become visible in any order, out of them.
      const filter = { until: new Date().toISOString(), ...filterOf(flags) }
      await context.database(output, async ({ log }) => {
        const target = await openTarget(flags.output, context.options)
        const pages = rowsOf(log, filter, Number.POSITIVE_INFINITY)
        const count = await exportRows(pages, flags.format, target, context.options.signal, output)
        if (flags.output !== undefined)
          output.object({ file: flags.output, rows: count }, [`wrote ${count} decisions to ${flags.output}`])
      })
    })
}

/** Gives how many rows were written; a signal ends it after a whole page. */
async function exportRows(
  pages: AsyncIterable<readonly LogRow[]>,
  format: ExportFlags['format'],
  target: Target,
  signal: AbortSignal | undefined,
  output: Output,
): Promise<number> {
  let count = 0
  try {
    if (format === 'csv') await target.write(csvLine(COLUMNS))
    for await (const page of pages) {
      if (signal?.aborted === true) break
      await target.write(page.map((row) => lineOf(row, format)).join(''))
      const isDue = Math.floor(count / PROGRESS_ROWS) < Math.floor((count + page.length) / PROGRESS_ROWS)
      count += page.length
      if (isDue) output.note(`${count} decisions, back to ${page.at(-1)?.decided_at}`)
    }
  } finally {
    await target.end()
  }
  return count
}

function lineOf(row: LogRow, format: ExportFlags['format']): string {
  return format === 'csv' ? csvLine(COLUMNS.map((column) => row[column])) : `${JSON.stringify(row)}\n`
}

interface Target {
  write(text: string): Promise<void>
  end(): Promise<void>
}

async function openTarget(file: string | undefined, options: CliOptions): Promise<Target> {
  if (file === undefined) return { write: (text) => writeOut(options, text), end: async () => undefined }
  const stream = createWriteStream(file, { flags: 'wx', mode: 0o600 })
  try {
    await once(stream, 'open')
  } catch (fault) {
    throw unwritable(file, fault)
  }
  return fileTarget(file, stream)
}

/** Waits for a slow reader, but not for one that has left. */
async function writeOut({ stdout, signal }: CliOptions, text: string): Promise<void> {
  if (stdout.write(text) !== false || stdout.once === undefined || signal?.aborted === true) return
  await new Promise<void>((resolve) => {
    stdout.once?.('drain', resolve)
    signal?.addEventListener('abort', () => resolve(), { once: true })
  })
}

function fileTarget(file: string, stream: WriteStream): Target {
  let fault: unknown
  stream.on('error', (error) => {
    fault = error
  })
  return {
    write: async (text) => {
      if (!stream.write(text) && fault === undefined) await once(stream, 'drain').catch(() => undefined)
      if (fault !== undefined) throw unwritable(file, fault)
    },
    end: async () => {
      if (fault === undefined) await new Promise((resolve) => stream.end(resolve))
    },
  }
}

function unwritable(file: string, fault: unknown): CliFailure {
  const reason = fault instanceof Error ? fault.message : 'unknown fault'
  return new CliFailure(EXIT.refused, {
    code: 'file.unwritable',
    message: `\`${file}\` can not be written: ${reason}`,
    help: 'name a new file in a folder that exists',
  })
}
