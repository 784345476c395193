import { cpus, release as kernel } from 'node:os'
import { count } from '../checks.ts'
import { describeFailures } from '../load.ts'
import { commit, renderTable } from '../report.ts'
import type { Kind } from '../scenario.ts'
import { canPin } from '../server-process.ts'
import { cerbosVersion } from './cerbos.ts'
import { opaVersion } from './opa.ts'
import type { Result } from './side-by-side.ts'

/** What was measured on the contenders with one tenant; the first one is Cerbos over HTTP as it comes. */
export interface Comparison {
  readonly kind: Kind
  readonly size: number
  readonly results: readonly Result[]
  /** Requests on which all gave the same decision before anything was measured, and how many of them were allowed. */
  readonly agreed: number
  readonly allowed: number
}

/** One run beside peers. */
export interface PeersRun {
  readonly command: string
  readonly startedAt: Date
  readonly loads: readonly [number, number]
  readonly rounds: number
  readonly hasOpa: boolean
  readonly comparisons: readonly Comparison[]
}

const RATIO_MIN = 2
const CHECKED = 'Warder, log `off`'

/** The report as Markdown, for the console and for docs/performance.md. */
export function renderPeers(run: PeersRun): string {
  return [renderMachine(run), ...run.comparisons.flatMap(renderComparison)].join('\n\n')
}

function renderMachine({ command, startedAt, loads, rounds, hasOpa, comparisons }: PeersRun): string {
  const [processor] = cpus()
  const busy = Math.max(...loads) > cpus().length
  const facts = [
    `\`${command}\` on ${startedAt.toISOString().slice(0, 10)}, commit ${commit()}`,
    `${cpus().length} cores of ${processor?.model.trim() ?? 'an unknown processor'}, Linux ${kernel()}, Node ${process.versions.node}, Cerbos ${cerbosVersion}, ${hasOpa ? `OPA ${opaVersion}` : 'no OPA (no Go toolchain)'}`,
    canPin
      ? 'every server on core 0 with one thread for its own work (`GOMAXPROCS=1`); load generator and Postgres on core 1'
      : 'processes not pinned to cores on this machine',
    `load average ${loads[0].toFixed(1)} at the start, ${loads[1].toFixed(1)} at the end: ${busy ? 'a busy machine, so go by the ratios and the CPU time, not by rates and latencies' : 'a quiet machine'}`,
    `${rounds} rounds, contenders in turn, all of them running; medians, and ratios of the same round`,
    ...comparisons
      .filter(({ kind, size }) => kind === 'one-query' && size >= 1_000)
      .map(({ size, results }) => verdict(size, results)),
  ]
  return facts.map((fact) => `- ${fact}`).join('\n')
}

function verdict(size: number, results: readonly Result[]): string {
  const ratio = results.find(({ name }) => name === CHECKED)?.ratio ?? 0
  return `**${ratio >= RATIO_MIN ? 'PASS' : 'FAIL'}**: at least ${RATIO_MIN} times the decisions of Cerbos over HTTP as it comes, one query, ${count(size)} policies, log off, no question asked twice: ${ratio.toFixed(2)} times`
}

function renderComparison({ kind, size, results, agreed, allowed }: Comparison): readonly string[] {
  return [
    `### ${kind}, ${count(size)} policies`,
    `All gave the same decision on ${count(agreed)} requests, ${count(allowed)} of them allowed.`,
    `Requests without a decision: ${describeFailed(results)}.`,
    renderTable(
      ['', 'decisions/s', 'ratio', 'CPU µs', 'CPU ratio', 'p50 ms', 'p99 ms', 'RSS MiB'],
      results.map((result) => [
        result.name,
        count(result.rate),
        result.ratio.toFixed(2),
        count(result.cpuMicroseconds),
        result.cpuRatio.toFixed(2),
        result.p50Milliseconds.toFixed(2),
        result.p99Milliseconds.toFixed(2),
        count(result.memoryMebibytes),
      ]),
    ),
  ]
}

function describeFailed(results: readonly Result[]): string {
  const failed = results.filter(({ failures }) =>
    failures.some((one) => one.late + one.unavailable + one.transport + one.other > 0),
  )
  if (failed.length === 0) return 'none'
  return failed.map(({ name, failures }) => `${name}: ${describeFailures(failures)}`).join('; ')
}
