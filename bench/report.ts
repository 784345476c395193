import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release as kernel, loadavg } from 'node:os'
import { type Check, count, type Row } from './checks.ts'
import type { DiskLatency } from './disk.ts'
import { describeFailures } from './load.ts'
import type { Pace } from './pace.ts'
import type { Followed, PublishSample, Turns } from './publish.ts'
import { canCount, canPin } from './server-process.ts'
import { median } from './statistics.ts'

/** One run of the bench. */
export interface Run {
  readonly command: string
  readonly startedAt: Date
  /** Load averages of the machine (1 minute) when the run began and when it ended. */
  readonly loads: readonly [number, number]
  readonly rows: readonly Row[]
  readonly published: readonly PublishSample[]
  /** Of a page written to the disk of the database. */
  readonly disk: DiskLatency
  /** When the run began and when it ended. */
  readonly paces: readonly [Pace, Pace]
  readonly publishedPolicies: number
  readonly checks: readonly Check[]
}

/** The load average of the last minute. */
export function loadNow(): number {
  return loadavg()[0] ?? 0
}

/** The report as Markdown, for the console and for docs/performance.md. */
export function renderRun(run: Run): string {
  return [
    renderMachine(run),
    '### Checks',
    renderTable(
      ['', 'check', 'measured'],
      run.checks.map(({ name, passed, found }) => [passed ? 'PASS' : 'FAIL', name, found]),
    ),
    '### Decisions',
    renderRows(run.rows),
    ...(run.published.length === 0 ? [] : ['### Publishing', renderPublishing(run)]),
  ].join('\n\n')
}

/** Puts the report between the markers `name` of `file`; the rest stays. @throws when a marker is missing */
export function writeReport(file: string, name: 'bench' | 'peers' | 'goals', report: string): void {
  const text = readFileSync(file, 'utf8')
  const [opening, closing] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const [begin, end] = [text.indexOf(opening), text.indexOf(closing)]
  if (begin === -1 || end < begin) throw new Error(`${file} lacks the markers of ${name}`)
  writeFileSync(file, `${text.slice(0, begin)}${opening}\n${report}\n${text.slice(end)}`)
}

function renderMachine({ command, startedAt, loads, rows, disk, paces }: Run): string {
  const rounds = Math.max(0, ...rows.map(({ samples }) => samples.length))
  const [processor] = cpus()
  const facts = [
    `\`${command}\` on ${startedAt.toISOString().slice(0, 10)}, commit ${commit()}`,
    `${cpus().length} cores of ${processor?.model.trim() ?? 'an unknown processor'}, Linux ${kernel()}, Node ${process.versions.node}`,
    canPin
      ? 'server on core 0; load generator and Postgres on core 1'
      : 'processes not pinned to cores on this machine',
    `load average ${loads[0].toFixed(1)} at the start, ${loads[1].toFixed(1)} at the end: ${loads[1] > cpus().length ? 'a busy machine, so rates are too low and latencies too high' : 'a quiet machine'}`,
    describePaces(paces),
    `the rate was within 20 % before and after ${total(rows, ({ steady }) => steady)} of ${total(rows, ({ windows }) => windows)} windows at half load; the latencies are theirs`,
    `the disk's: 8 KiB written with \`fdatasync\` takes ${disk.p50Milliseconds.toFixed(2)} ms (p50), ${disk.p99Milliseconds.toFixed(2)} ms (p99); with \`require\` an answer waits for one, and for the one before it where that is under way`,
    `${rounds} rounds, variants in turn, medians`,
    '`CPU µs, half` and `busy, half`: what a decision costs at half load, where each request wakes the server, and how much of its core that takes',
    `each server was warmed up first; ${coldness(rows)}`,
    canCount
      ? 'instructions counted by `perf stat`, user space'
      : 'instructions per decision: not available on this machine',
  ]
  return facts.map((fact) => `- ${fact}`).join('\n')
}

/** Half of what a core does in fast moments is three quarters of what it does in slow ones that take this many times as long. */
const UNSTEADY_MIN = 1.5

function describePaces(paces: readonly [Pace, Pace]): string {
  const [before, after] = paces.map(({ fast, slow }) => `${fast.toFixed(1)} and ${slow.toFixed(1)} µs`)
  const isUnsteady = paces.some(({ fast, slow }) => slow > UNSTEADY_MIN * fast)
  const verdict = isUnsteady
    ? '**the core changes its speed, and latencies at half load are those of its slow moments**'
    : 'the core keeps its speed'
  return `a fixed piece of work, alone${canPin ? ' on core 0' : ''}, takes ${before} in the fastest and the slowest tenth of eight seconds before the run, ${after} after it: ${verdict}`
}

function total(rows: readonly Row[], pick: (http: Row['summary']['http']) => number): number {
  return rows.reduce((sum, { summary }) => sum + pick(summary.http), 0)
}

/** What a server costs while V8 still optimises it. */
function coldness(rows: readonly Row[]): string {
  const ratios = rows.map(({ summary }) => summary.coldCpuMicroseconds / summary.loopCpuMicroseconds)
  return `meanwhile a decision cost ${median(ratios).toFixed(1)} times the CPU that it cost after (in-process, the median of the rows)`
}

function renderRows(rows: readonly Row[]): string {
  return renderTable(
    [
      'asked',
      'policies',
      'log',
      'decisions/s',
      'CPU µs',
      ...(canCount ? ['k instr.'] : []),
      'CPU µs, half',
      'busy, half',
      'p50 ms',
      'p99 ms',
      'p99 empty',
      'in-process/s',
      'CPU µs',
      'p50 ms',
      'p99 ms',
      'RSS MiB',
    ],
    rows.map(({ variant, summary }) => [
      variant.repeats ? `${variant.kind}, repeating` : variant.kind,
      count(variant.size),
      variant.log,
      count(summary.http.rate),
      count(summary.http.cpuMicroseconds),
      ...(canCount ? [known(summary.http.kiloInstructions)] : []),
      count(summary.http.halfCpuMicroseconds),
      `${count(100 * summary.http.busy)} %`,
      summary.http.p50Milliseconds.toFixed(2),
      summary.http.p99Milliseconds.toFixed(2),
      summary.http.emptyP99Milliseconds.toFixed(2),
      count(summary.loopRate),
      count(summary.loopCpuMicroseconds),
      summary.loopP50Milliseconds.toFixed(2),
      summary.loopP99Milliseconds.toFixed(2),
      count(summary.http.rssMebibytes),
    ]),
  )
}

function renderPublishing({ published, publishedPolicies }: Run): string {
  const row = (
    name: string,
    pick: (sample: PublishSample) => Turns & Partial<Followed>,
    p99?: number,
  ): readonly string[] => [
    name,
    Math.max(...published.map((sample) => pick(sample).cpu)).toFixed(1),
    Math.max(...published.map((sample) => pick(sample).clock)).toFixed(1),
    p99?.toFixed(1) ?? '',
    followed(published.map((sample) => pick(sample).followMilliseconds)),
  ]
  const p99 = (pick: (sample: PublishSample) => { readonly p99Milliseconds: number }): number =>
    median(published.map((sample) => pick(sample).p99Milliseconds))
  const table = renderTable(
    ['', 'longest turn, CPU ms', 'longest turn, clock ms', 'p99 ms', 'longest until it counts, ms'],
    [
      row('publishing, otherwise idle', ({ idle }) => idle),
      row(
        'load alone',
        ({ baseline }) => baseline,
        p99(({ baseline }) => baseline),
      ),
      row(
        'publishing under load',
        ({ loaded }) => loaded,
        p99(({ loaded }) => loaded),
      ),
    ],
  )
  const answers = published.reduce((sum, { loaded }) => sum + loaded.answers, 0)
  const failures = describeFailures(published.map(({ loaded }) => loaded.failures))
  return `${count(publishedPolicies)} policies pushed and activated beside a running server in \`require\`, ${published.length} times idle and ${published.length} times under load: ${count(answers)} answers; without a decision: ${failures}.\n\n${table}`
}

function followed(milliseconds: readonly (number | undefined)[]): string {
  const known = milliseconds.filter((value) => value !== undefined)
  return known.length === 0 ? '' : count(Math.max(...known))
}

function known(value: number | undefined): string {
  return value === undefined ? '' : count(value)
}

/** A Markdown table. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** The commit that is checked out, short. */
export function commit(): string {
  try {
    const args = ['rev-parse', '--short', 'HEAD']
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}
