import { afterAll, expect, test } from 'vitest'
import { runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run = runner(folder.path)
const TODO = 'policies/examples/authzen-todo'

afterAll(() => folder.remove())

test('--coverage prints a table and what no test decided', async () => {
  const ran = await run(['policy', 'test', TODO, '--coverage'])
  expect(ran).toMatchObject({ exit: 0, stderr: '' })
  const lines = ran.stdout.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^(\d+) of \1 tests passed$/)
  expect(lines).toContainEqual(expect.stringMatching(/^POLICY +REACHED +SATISFIED +ERRORED +PARTS/))
  expect(lines.at(-1)).toMatch(/^coverage: [\d.]+ % \(\d+ of \d+\)$/)
})

test('--json gives the counts of each policy and part', async () => {
  const ran = await run(['policy', 'test', TODO, '--coverage', '--json'])
  const { ok, coverage } = JSON.parse(ran.stdout)
  expect(ok).toBe(true)
  expect(coverage.policies.find(({ id }: { id: string }) => id === 'editors-change-own')).toMatchObject({
    effect: 'permit',
    satisfied: 1,
    parts: [{ text: 'principal has email', holds: 4, fails: 0, errors: 0 }, {}, {}],
  })
  const plain = await run(['policy', 'test', TODO, '--json'])
  expect(JSON.parse(plain.stdout)).not.toHaveProperty('coverage')
})

test('--min fails when the tests decide less', async () => {
  expect(await run(['policy', 'test', TODO, '--min', '50'])).toMatchObject({ exit: 0 })
  const low = await run(['policy', 'test', TODO, '--min', '99.9', '--json'])
  expect(low.exit).toBe(1)
  expect(JSON.parse(low.stdout).coverage.percent).toBeLessThan(99.9)
  expect(JSON.parse(low.stderr).error.code).toBe('policy.coverage_low')
  expect(await run(['policy', 'test', TODO, '--min', '101'])).toMatchObject({ exit: 2 })
})

test.each(['demo', 'authzen-cert', 'authzen-gateway', 'authzen-todo'])(
  'the tests of the example %s decide three of four goals',
  async (name) => {
    expect(await run(['policy', 'test', `policies/examples/${name}`, '--min', '75'])).toMatchObject({
      exit: 0,
    })
  },
)
