import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { TENANT, textOf } from '../demo.ts'
import { preparedData } from '../prepared.ts'
import { startWarder, type Warder, type WarderPlace } from '../warder.ts'
import { ask, type Outcome, type Question } from './fleet.ts'

/** A server with the demo tenant that a first start makes. */
export interface Stage {
  readonly warder: Warder
  /** Whether `agent` may list repositories for alice; it may, unless something is wrong. */
  readonly question: () => Question
  /** One question on a connection of its own. */
  ask(question?: Question): Promise<Outcome>
}

/** What was written to the log. */
export interface LoggedDecision {
  readonly id: string
  readonly decision: string
  readonly reason: string
  readonly decidedAt: string
  readonly writer: string
  readonly sequence: number
}

const ROWS_MAX = '1000000'

/** The body of a question that the demo's policies allow. */
export const LISTING = { agent: 'triage-bot', user: 'alice', tool: 'github/list_repos' }

/** Starts a server. */
export async function openStage(
  settings: Readonly<Record<string, string>> = {},
  place: WarderPlace = {},
): Promise<Stage> {
  const warder = await startWarder(settings, { copyOf: preparedData(), ...place })
  const key = textOf(JSON.parse(readFileSync(join(warder.dataDir, 'demo.json'), 'utf8')), 'gatewayKey')
  const question = () => ({ key, body: LISTING })
  return { warder, question, ask: (asked = question()) => ask(warder.decisionPort, false, asked) }
}

/** Every row of the demo tenant's log, newest first, as `logs query` prints it. */
export async function loggedDecisions(warder: Warder): Promise<readonly LoggedDecision[]> {
  const rows = await warder.json('logs', 'query', '--tenant', TENANT, '--limit', ROWS_MAX)
  if (!Array.isArray(rows)) throw new Error('`logs query --json` prints no list')
  return rows.map((row: unknown) => ({
    id: textOf(row, 'decision_id'),
    decision: textOf(row, 'decision'),
    reason: textOf(row, 'reason'),
    decidedAt: textOf(row, 'decided_at'),
    writer: textOf(row, 'writer'),
    sequence: Number(Reflect.get(Object(row), 'sequence')),
  }))
}

/** Answered decisions that the log does not hold exactly once with the same answer; an unlogged deny needs no row. */
export function notLoggedOnce(
  outcomes: readonly Outcome[],
  logged: readonly LoggedDecision[],
): readonly Outcome[] {
  const rows = new Map<string, LoggedDecision[]>()
  for (const row of logged) rows.set(row.id, [...(rows.get(row.id) ?? []), row])
  return outcomes.filter(({ kind, decisionId }) => {
    // These two say themselves that the log did not take them: what was allowed is what must be there.
    if (decisionId === undefined || kind === 'log.unavailable' || kind === 'log.overflow') return false
    const [row, ...more] = rows.get(decisionId) ?? []
    return row === undefined || more.length > 0 || (row.decision === 'allow') !== (kind === 'allow')
  })
}

/** Resident memory of a process in MiB, now and at its highest. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024)
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** Prints what a drill measured; docs/operations.md shows the figures of one run. */
export function figure(drill: string, figures: object): void {
  process.stderr.write(`drill ${drill} ${JSON.stringify(figures)}\n`)
}
