import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { OBLIGATIONS, parseObligationAnnotation } from '#policy/obligation-catalogue.ts'

const [before = '', after = ''] = readFileSync('docs/obligations.md', 'utf8').split('## The catalogue')
const catalogue = after.split(/^## /m)[0] ?? ''
const sections = catalogue.split(/^### /m).slice(1)
const types = Object.keys(OBLIGATIONS)

function sectionOf(type: string): string {
  return sections.find((section) => section.startsWith(`${type}\n`)) ?? ''
}

/** Names in the first column of a section's property table, and whether each is required. */
function documentedProperties(type: string): Record<string, boolean> {
  const rows = sectionOf(type).matchAll(/^\| `([a-z_]+)` \| ([^|]*)\|/gm)
  return Object.fromEntries(
    [...rows].map(([, name = '', schema = '']) => [name, schema.includes('required')]),
  )
}

/** The same from the catalogue itself. */
function actualProperties(type: keyof typeof OBLIGATIONS): Record<string, boolean> {
  const schema = z.toJSONSchema(OBLIGATIONS[type].schema)
  const required = schema.required ?? []
  return Object.fromEntries(
    Object.keys(schema.properties ?? {}).map((name) => [name, required.includes(name)]),
  )
}

/** Texts of all annotations in `text`, as the engine would read them. */
function annotations(text: string): readonly string[] {
  return [...text.matchAll(/@obligation\("((?:[^"\\]|\\.)*)"\)/g)].map(([, literal = '']) =>
    String(JSON.parse(`"${literal}"`)),
  )
}

describe('docs/obligations.md', () => {
  test('has a section for every type of the catalogue and for nothing else', () => {
    expect(sections.map((section) => section.slice(0, section.indexOf('\n')))).toEqual(types)
  })

  test('its table says who executes each type and how it is merged', () => {
    const rows = [...catalogue.matchAll(/^\| \[([a-z_]+)\]\(#\1\) \| (\w+) \| (\w+) \|$/gm)]
    const documented = rows.map(([, type, executes, merge]) => ({ type, executes, merge }))
    const actual = Object.entries(OBLIGATIONS).map(([type, { executes, merge }]) => ({
      type,
      executes,
      merge,
    }))
    expect(documented).toEqual(actual)
  })

  test.each(Object.keys(OBLIGATIONS) as (keyof typeof OBLIGATIONS)[])(
    '%s is documented with exactly its properties and with an annotation that can be published',
    (type) => {
      expect(documentedProperties(type)).toEqual(actualProperties(type))
      const examples = annotations(sectionOf(type))
      expect(examples.length).toBeGreaterThan(0)
      for (const example of examples) {
        expect(parseObligationAnnotation(example)).toMatchObject({ ok: true, value: [{ type }] })
      }
    },
  )

  test('every annotation of the introduction can be published', () => {
    const examples = annotations(before)
    expect(examples.length).toBeGreaterThan(0)
    for (const example of examples) expect(parseObligationAnnotation(example)).toMatchObject({ ok: true })
  })
})
