import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { emptyTally, runByCedar, runByEvaluator, type Tally } from './run-conformance.ts'
import { readTest, testFiles } from './test-file.ts'

// `npm run conformance:cedar -- DIR`: every test of the public format below DIR by cedar-wasm as it is, by the product's use
// of it, and by the compiled evaluator. Exit code 1: an answer is not the expected one.
const SHOWN_MAX = 10

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('name the folder with the tests')
const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const evaluators = {
  'cedar-wasm, sliced and projected': createEvaluate(createEngine()),
  'the compiled evaluator': createCompiledEvaluate(() => [{ kind: 'engine', detail: 'not supported' }]),
}
const tallies = new Map<string, Tally>(
  ['cedar-wasm', ...Object.keys(evaluators)].map((name) => [name, emptyTally()]),
)
const tallyOf = (name: string): Tally => tallies.get(name) ?? emptyTally()
let tests = 0
let told = performance.now()
for (const file of testFiles(folder)) {
  const test = readTest(file)
  if (test === undefined) continue
  tests += 1
  runByCedar(test, tallyOf('cedar-wasm'))
  for (const [name, evaluate] of Object.entries(evaluators))
    await runByEvaluator(evaluate, test, tallyOf(name))
  if (performance.now() - told > 2_000) {
    told = performance.now()
    process.stderr.write(`${tests} tests\n`)
  }
}
for (const [name, { passed, notHeld, failures }] of tallies) {
  const held = notHeld === 0 ? '' : `, ${notHeld} not asked (longs beyond 2^53 in the request)`
  say(`${name}: ${tests} tests, ${passed} requests as expected, ${failures.length} not${held}`)
  for (const failure of failures.slice(0, SHOWN_MAX)) say(`  ${failure}`)
}
process.exitCode = tests > 0 && [...tallies.values()].every(({ failures }) => failures.length === 0) ? 0 : 1
