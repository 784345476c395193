import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { REASONS } from '#model/reasons.ts'

const sections = readFileSync('docs/reasons.md', 'utf8').split(/^### /m).slice(1)
const documented = new Map(
  sections.map((section) => {
    const end = section.indexOf('\n')
    return [section.slice(0, end), section.slice(end)]
  }),
)

describe('docs/reasons.md', () => {
  test('has a section for every reason code and for nothing else, each once', () => {
    expect(sections).toHaveLength(documented.size)
    expect(new Set(documented.keys())).toEqual(new Set(Object.keys(REASONS)))
  })

  test.each([...documented])(
    '%s says what it means, what to check and what the caller may do',
    (_code, text) => {
      expect(text).toMatch(/^\n\n\S/)
      expect(text).toMatch(/^- \*\*Check:\*\* \S/m)
      expect(text).toMatch(/^- \*\*Caller:\*\* \S/m)
    },
  )
})
