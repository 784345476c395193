import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { compileFiles, filesOf, GUARDRAILS } from './shipped.ts'

interface FolderTest {
  readonly name: string
  readonly reason: readonly string[]
}

// The permit that every case overrides, and the cases of all guardrails: a release like any tenant's.
const permitAll = {
  name: 'permit-all.cedar',
  text: readFileSync('policies/guardrails/tests/permit-all.cedar', 'utf8'),
}
const tests = filesOf('policies/guardrails').filter((file) => file.name.startsWith('tests/'))
// A folder is of Warder's vocabulary when it names a type of it.
const vocabulary = {
  name: 'vocabulary.cedar',
  text: '@id("nobody") permit (principal == Warder::Agent::"nobody", action, resource);',
}
const outcome = compileFiles([permitAll, vocabulary, ...tests])
const guardrails = outcome.ok ? outcome.release.policies.filter(({ origin }) => origin === 'guardrail') : []

function casesOf(name: string): readonly FolderTest[] {
  const file = tests.find((found) => found.name === `tests/${name.replace('.cedar', '.json')}`)
  return JSON.parse(file?.text ?? '[]') as readonly FolderTest[]
}

test('the guardrails compile, can not error, and every case comes out as written', () => {
  expect(outcome).toMatchObject({ ok: true, tests: { failures: [] } })
  expect(guardrails.length).toBeGreaterThan(0)
})

describe.each(GUARDRAILS.map(({ name }) => name))('%s', (name) => {
  const own = guardrails.filter(({ file }) => file === name)

  test('only forbids, under ids of its own, for calls of tools alone, with a sentence for the agent', () => {
    for (const policy of own) {
      expect(policy.effect).toBe('forbid')
      expect(policy.id.startsWith(`warder.${name.replace('.cedar', '')}`)).toBe(true)
      expect(policy.scope.action).toEqual({
        op: 'in',
        entities: [{ type: 'Warder::Action', id: 'callTool' }],
      })
      expect(policy.reason).toMatch(/^[A-Z].*\.$/)
    }
  })

  test('stops what a permit allows, and has a near miss where it stays out of the way', () => {
    const cases = casesOf(name)
    for (const { id } of own) expect(cases.some((one) => one.reason.includes(id))).toBe(true)
    expect(cases.some((one) => one.reason.includes('permit-all'))).toBe(true)
  })

  test('begins with a comment that says who is protected from what', () => {
    expect(readFileSync(`policies/guardrails/${name}`, 'utf8')).toMatch(/^\/\/ Protects /)
  })
})
