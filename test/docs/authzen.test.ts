import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BYTES_MAX, JUDGED_MAX, LOOKED_AT_MAX } from '#decide/search-pace.ts'
import { search } from '../support/search.ts'
import { createWorld } from '../support/world.ts'

const page = readFileSync('docs/gateways/authzen.md', 'utf8')
const chapter = page.slice(page.indexOf('## Search'))

test('the search of docs/gateways/authzen.md is answered as it says there', async () => {
  const asked = /-d '(\{[\s\S]*?\})'/.exec(chapter)?.[1] ?? ''
  const told = /```json\n([\s\S]*?)```/.exec(chapter)?.[1] ?? ''
  const { body } = await search(
    await createWorld('demo', { policies: 'demo' }),
    'resource',
    JSON.parse(asked),
  )
  const { page: shown, ...results } = JSON.parse(told)
  expect(body).toEqual({ page: { ...shown, next_token: expect.stringMatching(/^v1\./) }, ...results })
})

test('docs/gateways/authzen.md says how much one page is', () => {
  const number = (value: number): string => value.toLocaleString('en-US')
  expect(chapter).toContain(
    `at most ${number(JUDGED_MAX)} candidates (fewer of a question of more than ${Math.floor(BYTES_MAX / JUDGED_MAX / 1_024)} KiB) and looks at ${number(LOOKED_AT_MAX)}`,
  )
})
