import { describe, expect, test } from 'vitest'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { parseLossless } from '../../support/conformance/lossless-json.ts'
import { emptyTally, runByCedar, runByEvaluator } from '../../support/conformance/run-conformance.ts'
import { type ConformanceTest, readTest, testFiles } from '../../support/conformance/test-file.ts'

const tests = testFiles('test/cases/cedar').flatMap((file) => readTest(file) ?? [])
const sliced = createEvaluate(createEngine())
const compiled = createCompiledEvaluate(() => [{ kind: 'engine', detail: 'not supported' }])
/** A request whose entity holds a long beyond 2^53: cedar-wasm is asked, the product's values can not hold it. */
const NOT_HELD = { documents: 5, anything: 0 }

describe.each(tests)('$file', (each: ConformanceTest) => {
  test('cedar-wasm answers as the file says', () => {
    const tally = emptyTally()
    runByCedar(each, tally)
    expect(tally).toEqual({ passed: each.requests.length, notHeld: 0, failures: [] })
  })

  test.each([
    ['sliced and projected', sliced],
    ['compiled', compiled],
  ])('%s: as the file says, without the entity that can not be held', async (_name, evaluate) => {
    const held = each.entities.filter((entity) => !JSON.stringify(entity).includes('9223372036854775807'))
    const requests = each.requests.filter(({ resource }) => !JSON.stringify(resource).includes('huge'))
    const tally = emptyTally()
    await runByEvaluator(evaluate, { ...each, entities: held, requests }, tally)
    expect(tally).toEqual({ passed: requests.length, notHeld: 0, failures: [] })
  })

  test('a request is counted as not asked rather than asked with another number', async () => {
    const tally = emptyTally()
    await runByEvaluator(compiled, each, tally)
    expect(tally.notHeld).toBe(each.file.endsWith('documents.json') ? NOT_HELD.documents : NOT_HELD.anything)
  })

  test('a wrong expectation is a failure', async () => {
    const requests = each.requests.map((request) => ({ ...request, reason: ['policy9'] }))
    const [ours, theirs] = [emptyTally(), emptyTally()]
    await runByEvaluator(compiled, { ...each, entities: [], requests }, ours)
    runByCedar({ ...each, requests }, theirs)
    expect(ours.failures).toHaveLength(requests.length)
    expect(theirs.failures).toHaveLength(requests.length)
  })
})

test('integers keep their digits on the way to the engine', () => {
  const text = '{"a":9223372036854775807,"b":[-9223372036854775808,1]}'
  expect(JSON.stringify(parseLossless(text))).toBe(text)
})
