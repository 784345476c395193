import type { Flatness } from './compare.ts'
import { describeFailures } from './load.ts'
import type { Sample, Variant } from './measure.ts'
import type { PublishSample } from './publish.ts'

/** What was measured on one variant: every round, and the summary. */
export interface Row {
  readonly variant: Variant
  readonly samples: readonly Sample[]
  readonly summary: Sample
}

/** A promise with what was measured. */
export interface Check {
  readonly name: string
  readonly passed: boolean
  readonly found: string
}

const FLAT_MIN = 0.95
const P99_MILLISECONDS_MAX = 5
const P99_POLICIES = 1_000
const STALL_MILLISECONDS_MAX = 10
const FOLLOW_MILLISECONDS_MAX = 1_000

/** Compares what was measured with what is promised. */
export function checkAll(
  rows: readonly Row[],
  flatness: readonly Flatness[],
  published: readonly PublishSample[],
): readonly Check[] {
  return [...flatness.map(flat), ...latency(rows), ...publishing(published), failures(rows, published)]
}

function flat({ kind, small, large, rate, cpu, pairs }: Flatness): Check {
  return {
    name: `rate at ${count(large)} policies at least ${FLAT_MIN} of that at ${small}, \`buffer\`, ${kind}`,
    passed: rate >= FLAT_MIN,
    found: `${rate.toFixed(2)} (median of ${pairs} pairs; CPU per decision ${cpu.toFixed(2)} times)`,
  }
}

function latency(rows: readonly Row[]): readonly Check[] {
  return rows
    .filter(({ variant }) => variant.size === P99_POLICIES && !variant.repeats)
    .map(({ variant, summary }) => ({
      name: `p99 at half load under ${P99_MILLISECONDS_MAX} ms with ${count(P99_POLICIES)} policies, \`${variant.log}\`, ${variant.kind}`,
      passed: summary.http.p99Milliseconds < P99_MILLISECONDS_MAX,
      found: `${summary.http.p99Milliseconds.toFixed(2)} ms (${summary.http.emptyP99Milliseconds.toFixed(2)} ms of them the machine's)`,
    }))
}

function publishing(published: readonly PublishSample[]): readonly Check[] {
  if (published.length === 0) return [{ name: 'publishing could be measured', passed: false, found: 'no' }]
  const longest = Math.max(...published.map(({ idle }) => idle.cpu))
  const lost = published.reduce((sum, { loaded }) => sum + loaded.failed, 0)
  const asked = published.reduce((sum, { loaded }) => sum + loaded.answers, 0)
  const followed = Math.max(...published.map(({ idle }) => idle.followMilliseconds))
  return [
    {
      name: `a server decides by a new release within ${count(FOLLOW_MILLISECONDS_MAX)} ms of its activation (otherwise idle)`,
      passed: followed < FOLLOW_MILLISECONDS_MAX,
      found: `${count(followed)} ms`,
    },
    {
      name: `publishing never holds the event loop over ${STALL_MILLISECONDS_MAX} ms (CPU time of one turn, idle server)`,
      passed: longest <= STALL_MILLISECONDS_MAX,
      found: `${longest.toFixed(1)} ms`,
    },
    {
      name: 'publishing under load fails no request',
      passed: lost === 0,
      found: `${lost} of ${count(asked)}${lost === 0 ? '' : ` (${describeFailures(published.map(({ loaded }) => loaded.failures))})`}`,
    },
  ]
}

function failures(rows: readonly Row[], published: readonly PublishSample[]): Check {
  const failed =
    rows.reduce((sum, { summary }) => sum + summary.failed, 0) +
    published.reduce((sum, { loaded }) => sum + loaded.failed, 0)
  return { name: 'no request failed and no row was lost', passed: failed === 0, found: String(failed) }
}

/** A number with its thousands set apart. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
