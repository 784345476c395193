import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileFiles } from './shipped.ts'

const readme = readFileSync('policies/README.md', 'utf8')

function blocks(language: string): string {
  const found = readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))
  return [...found].map(([, text = '']) => text).join('\n')
}

test('the examples of policies/README.md compile together, without a warning', () => {
  const outcome = compileFiles([
    { name: 'readme.cedar', text: blocks('cedar') },
    { name: 'readme.cedarschema', text: blocks('cedarschema') },
  ])
  expect(outcome).toMatchObject({
    ok: true,
    warnings: [],
    release: { vocabulary: 'warder', validated: true },
  })
})

test('the test of policies/README.md passes with its policies', () => {
  const test = /^```json\n(\[\n[\s\S]*?)^```/m.exec(readme)?.[1] ?? ''
  const outcome = compileFiles([
    { name: 'readme.cedar', text: blocks('cedar') },
    { name: 'readme.cedarschema', text: blocks('cedarschema') },
    { name: 'docs.cedarschema', text: 'namespace Warder { action "docs/read" in ["readTools"]; }' },
    { name: 'tests/readme.json', text: test },
  ])
  expect(outcome).toMatchObject({ ok: true, tests: { total: 1, passed: 1 } })
})

test('the links of policies/README.md lead somewhere', () => {
  const links = [...readme.matchAll(/\]\(((?!https?:)[^)#]+)\)/g)].map(([, target = '']) => target)
  expect(links.length).toBeGreaterThan(0)
  for (const link of links) expect([link, globSync(`policies/${link}`)]).not.toEqual([link, []])
})
