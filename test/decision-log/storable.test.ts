import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sealRow, verifyRows } from '#decision-log/chain.ts'
import type { LogRow } from '#decision-log/port.ts'
import type { JsonObject } from '#model/value.ts'
import { opened } from '../support/append-rows.ts'
import { askWorld } from '../support/ask.ts'
import { createWorld, policyFile } from '../support/world.ts'

/** What a database makes of JSON: neither NUL nor half surrogates can be stored. */
function stored(row: LogRow): LogRow {
  return JSON.parse(JSON.stringify(row), (_key, value) =>
    typeof value === 'string' ? value.toWellFormed().replaceAll('\u0000', '\uFFFD') : value,
  )
}

async function rowsFor(bodies: readonly JsonObject[]): Promise<readonly LogRow[]> {
  const rows: LogRow[] = []
  const world = await createWorld('acme', {
    policies: [policyFile('@id("all") permit(principal, action, resource);')],
    append: async (batch) => {
      rows.push(...batch.map(opened))
    },
  })
  for (const body of bodies) await askWorld(world, body)
  return rows
}

it('a name that is cut between the halves of a character leaves the chain whole', async () => {
  const rows = await rowsFor([
    { agent: 'bot', tool: 'x', arguments: { [`${'a'.repeat(255)}😀`]: 1 } },
    // Paths of masked values are cut too, at 512 characters.
    ...Array.from({ length: 12 }, (_, i) => ({
      agent: 'bot',
      tool: 'x',
      arguments: { ['a'.repeat(250)]: { ['b'.repeat(235 + i)]: { '😀😀😀😀': { password: 'x' } } } },
    })),
  ])
  expect(verifyRows(rows.map(stored))).toMatchObject({ ok: true })
})

it('whatever text a row holds, the stored row has the hash of the row', async () => {
  const [first] = await rowsFor([{ agent: 'bot', tool: 'x' }])
  if (first === undefined) throw new Error('nothing was logged')
  const piece = fc.constantFrom('\u0000', '\ud83d', '\ude00', '\\u0000', '\\', 'u0000', '"', 'a')
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(text, text, (name, value) => {
      const { writer, sequence: _, previous_hash: __, hash: ___, ...entry } = first
      const row = opened(
        sealRow({ ...entry, facts: { [name]: value }, trace: { detail: value } }, writer, undefined),
      )
      expect(row).toEqual(stored(row))
      expect(verifyRows([stored(row)])).toMatchObject({ ok: true })
    }),
  )
})
