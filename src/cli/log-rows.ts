import { type Command, Option } from 'commander'
import type { LogCursor, LogFilter, LogRow, QueryLog } from '#decision-log/port.ts'
import { tenantOf } from './context.ts'
import { instant } from './values.ts'

const PAGE_LIMIT = 500

const FILTERS = [
  'tenant',
  'decision',
  'reason',
  'agent',
  'user',
  'tool',
  'gateway',
  'requestId',
  'release',
  'policy',
  'text',
  'since',
  'until',
] as const satisfies readonly (keyof LogFlags)[]

/** Filters of `logs query` and `logs tail`. */
export interface LogFlags {
  readonly tenant?: string
  readonly decision?: 'allow' | 'deny'
  readonly reason?: string
  readonly agent?: string
  readonly user?: string
  readonly tool?: string
  readonly gateway?: string
  readonly requestId?: string
  readonly release?: string
  readonly policy?: string
  readonly text?: string
  readonly since?: string
  readonly until?: string
}

/** Adds the options of `LogFlags` but `until`, which only a query can have. */
export function withFilters(command: Command): Command {
  return command
    .option('--tenant <tenant>', 'only one tenant (default: all)')
    .addOption(new Option('--decision <decision>', 'only these').choices(['allow', 'deny']))
    .option('--reason <code>', 'code of the deciding reason, such as policy.forbid')
    .option('--agent <id>', 'only this agent')
    .option('--user <id>', 'only this user')
    .option('--tool <id>', 'only this tool, such as server/tool')
    .option('--policy <id>', 'only where this policy decided or demanded an obligation')
    .option('--release <id>', 'only this release, as sha256: and 64 hex digits')
    .option('--gateway <id>', 'only what this gateway asked; `warder gateway list` shows ids')
    .option('--request-id <id>', "only the gateway's request of this id")
    .option('--text <words>', 'only rows with these words in parties, tool, resource, reasons or facts')
    .option('--since <time>', 'decided at or after this time; 15m, 2h, 7d count back from now', instant)
}

/** The filter that the options describe. */
export function filterOf(flags: LogFlags): LogFilter {
  const filter: { [name: string]: string } = {}
  for (const name of FILTERS) {
    const value = flags[name]
    if (value !== undefined) filter[name] = name === 'tenant' ? tenantOf(value) : value
  }
  return filter
}

/** At most `limit` rows in pages, newest first. */
export async function* rowsOf(
  log: QueryLog,
  filter: LogFilter,
  limit: number,
): AsyncGenerator<readonly LogRow[]> {
  let left = limit
  let cursor: LogCursor | undefined
  while (left > 0) {
    const page = await log.page(filter, Math.min(left, PAGE_LIMIT), cursor)
    yield page.rows
    left -= page.rows.length
    cursor = page.next
    if (cursor === undefined) return
  }
}
