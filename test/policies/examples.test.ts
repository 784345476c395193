import { describe, expect, test } from 'vitest'
import { compileFiles, EXAMPLES, filesOf, releaseOf } from './shipped.ts'

interface FolderTest {
  readonly name: string
  readonly decision: 'allow' | 'deny'
  readonly reason: readonly string[]
}

function testsOf(example: string): readonly FolderTest[] {
  return filesOf(`policies/examples/${example}`)
    .filter((file) => file.name.startsWith('tests/'))
    .flatMap((file) => JSON.parse(file.text) as readonly FolderTest[])
}

describe.each(EXAMPLES)('policies/examples/%s', (example) => {
  test('compiles without an error or a warning, and all of its tests pass', () => {
    const outcome = compileFiles(filesOf(`policies/examples/${example}`))
    expect(outcome).toMatchObject({ ok: true, warnings: [], tests: { failures: [] } })
  })

  test('uses the vocabulary that it is an example of', () => {
    const release = releaseOf(example)
    expect(release.vocabulary).toBe(example.startsWith('authzen-') ? 'own' : 'warder')
    expect(release.validated).toBe(true)
  })

  test('every policy decides a test, and every file has a test where it does not decide', () => {
    const tests = testsOf(example)
    const decided = new Set(tests.flatMap((one) => one.reason))
    const policies = releaseOf(example).policies.filter((policy) => policy.origin === 'tenant')
    expect(policies.map(({ id }) => id).filter((id) => !decided.has(id))).toEqual([])
    for (const { name } of filesOf(`policies/examples/${example}`)) {
      if (!name.endsWith('.cedar')) continue
      const ids = policies.filter((policy) => policy.file === name).map(({ id }) => id)
      const own = filesOf(`policies/examples/${example}`).find(
        (file) => file.name === `tests/${name.replace('.cedar', '.json')}`,
      )
      const cases = JSON.parse(own?.text ?? '[]') as readonly FolderTest[]
      expect(cases.some((one) => one.reason.some((id) => ids.includes(id)))).toBe(true)
      expect(cases.some((one) => !one.reason.some((id) => ids.includes(id)))).toBe(true)
    }
  })
})

test('the demo uses each obligation of the catalogue', () => {
  const types = releaseOf('demo').policies.flatMap((policy) => policy.obligations.map(({ type }) => type))
  expect(new Set(types)).toEqual(
    new Set([
      'step_up',
      'human_approval',
      'redact',
      'rate_limit',
      'token_exchange',
      'strip_authorization',
      'set_header',
      'audit',
      'notify',
      'max_age',
    ]),
  )
})
