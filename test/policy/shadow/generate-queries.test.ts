import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Evaluate } from '#policy/port.ts'
import { checkRelease } from '#policy/shadow/check-release.ts'
import { createBreathe, matchingOrdinals } from '#policy/shadow/compare.ts'
import { generateQueries } from '#policy/shadow/generate-queries.ts'
import { emptyRegistry } from '#registry/snapshot.ts'
import { createRandom } from '../../support/generate/random.ts'
import { releaseOfTexts } from '../../support/policy-records.ts'
import { createWorld, type World } from '../../support/world.ts'
import { checker, compiled, misreading } from './engines.ts'

const EXAMPLES = readdirSync('policies/examples', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

function queriesFor({ tenant: { release, registry } }: World) {
  if (release === undefined) throw new Error('there is no release')
  return { release, queries: [...generateQueries(release, registry, createRandom(7).next)] }
}

describe.each(EXAMPLES)('generated queries for %s', (example) => {
  test('reach every policy, and both evaluators agree on them', async () => {
    const { release, queries } = queriesFor(await createWorld('demo', { policies: example }))
    const reached = new Set(queries.flatMap((query) => matchingOrdinals(release, query)))
    expect(reached.size).toBe(release.policyCount)
    const parts = { generated: queries, recorded: [] }
    const verdict = await checkRelease({ compiled, reference: checker }, release, parts, createBreathe())
    expect(verdict.kind).toBe('proven')
  })
})

test.each([
  ['`==` as `!=`', / == /g, ' != '],
  ['`&&` as `||`', / && /g, ' || '],
  ['`has` as something that is never there', / has \w+/g, ' has nothing'],
])('an evaluator that reads %s is caught', async (_name, pattern, replacement) => {
  const { release, queries } = queriesFor(await createWorld('demo', { policies: 'demo' }))
  const parts = { generated: queries, recorded: [] }
  const engines = { compiled: misreading(pattern, replacement), reference: checker }
  expect((await checkRelease(engines, release, parts, createBreathe())).kind).toBe('differs')
})

test('a release of many policies is compared in parts, and a wrong evaluator is caught in it too', async () => {
  const texts = Array.from(
    { length: 200 },
    (_, i) =>
      `@id("p${i}")\npermit(principal, action == Action::"a${i}", resource) when { context.n <= ${i} };`,
  )
  const release = await releaseOfTexts([
    ...texts,
    '@id("f")\nforbid(principal, action, resource) when { context.x };',
  ])
  const check = (fast: Evaluate) => {
    const generated = generateQueries(release, emptyRegistry(), createRandom(7).next)
    return checkRelease(
      { compiled: fast, reference: checker },
      release,
      { generated, recorded: [] },
      createBreathe(),
    )
  }
  expect((await check(compiled)).kind).toBe('proven')
  expect((await check(misreading(/ <= /g, ' < '))).kind).toBe('differs')
})
