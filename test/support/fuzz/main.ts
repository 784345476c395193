import { parseArgs } from 'node:util'
import { CASES_FOR_COVERAGE, wanted } from './coverage.ts'
import { runShares } from './run-shares.ts'
import { reportText } from './shrink.ts'

// `npm run fuzz -- [--cases N] [--seed N]`: the compiled evaluator against cedar-wasm. A reported seed replays its set
// with `--seed N --cases 50`. Exit code 1: they differ, or something was never exercised in a run long enough for it.
const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
  },
})
const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const cases = Number(values.cases)
const seed = Number(values.seed)
const startedAt = performance.now()
const seconds = (): number => (performance.now() - startedAt) / 1000

say(`${cases} cases from seed ${seed}`)
let told = 0
const outcome = await runShares(cases, seed, (done) => {
  if (seconds() - told < 2) return
  told = seconds()
  const left = ((cases - done) / done) * told
  const line = `${((100 * done) / cases).toFixed(1)} %  ${done} cases  ${told.toFixed(0)} s, ${left.toFixed(0)} s left`
  process.stderr.write(process.stderr.isTTY ? `\r${line}   ` : `${line}\n`)
})
if (process.stderr.isTTY) process.stderr.write('\n')
for (const report of outcome.reports) say(`\n${reportText(report)}\n`)
const missing = wanted().filter((name) => !outcome.coverage.has(name))
const { length: differences } = outcome.reports
const took = seconds().toFixed(1)
say(
  `${outcome.cases} cases, ${outcome.evaluations} policies evaluated, ${differences} differences, ${took} s, seed ${seed}`,
)
if (missing.length > 0) say(`never exercised: ${missing.join(', ')}`)
process.exitCode = differences > 0 || (missing.length > 0 && cases >= CASES_FOR_COVERAGE) ? 1 : 0
