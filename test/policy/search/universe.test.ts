import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { StoredEntity } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { Search } from '#model/request.ts'
import { soughtAfter } from '#policy/search/universe.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createWorld } from '../../support/world.ts'

const entities = (type: string, ids: readonly string[]): readonly StoredEntity[] =>
  ids.map((id) => ({ uid: { type: `Warder::${type}`, id }, attrs: {}, tags: {}, parents: [] }))

/** Which tools there are, as resources of that type and as actions. */
const OPEN: readonly ['resource' | 'action', string, string][] = [
  ['resource', 'tool', 'Warder::Tool'],
  ['action', '', 'Warder::Action'],
]
const asked = (open: Search['open'], type: string): { tool: undefined; search: Search } => ({
  tool: undefined,
  search: { open, type, question: {}, size: 1, token: undefined, limit: undefined, ask: () => undefined },
})

let release: Release
beforeAll(async () => {
  const { tenant } = await createWorld('demo', { policies: 'demo' })
  if (tenant.release === undefined) throw new Error('the demo has a release')
  release = tenant.release
})

/** The release with these tools in its schema and no others. */
function declaring(...ids: readonly string[]): Release {
  const { schema } = release
  const [like] = schema?.actions ?? []
  if (schema === undefined || like === undefined) throw new Error('the demo declares tools')
  const actions = ids.map((id) => ({ ...like, uid: { type: 'Warder::Action', id } }))
  return { ...release, schema: { ...schema, actions } }
}

describe.each(OPEN)('tools as an open %s', (open, type, cedarType) => {
  test('wherever a tool is written down, it comes once and in the order of ids, from behind any place', () => {
    const stored = [...entities('Tool', ['s/e', 's/a', 's/c']), ...entities('Action', ['s/d', 's/c', 's/b'])]
    const registry = applyEntities(emptyRegistry(), stored, [])
    const parts = { registry, release: declaring('s/f', 's/b', 's/e', 's/b') }
    const all = ['s/a', 's/b', 's/c', 's/d', 's/e', 's/f']
    for (const after of [undefined, 's/', ...all, 's/c0', 'z']) {
      const found = [...soughtAfter(asked(open, type), parts, after)].filter((each) => each !== undefined)
      const expected = all.filter((id) => after === undefined || id > after)
      expect([after, found]).toEqual([after, expected.map((id) => ({ id, uid: { type: cedarType, id } }))])
    }
  })

  test('of very many tools no page reads or sorts all: others have their turn before the first, and it begins where it ended', () => {
    const ids = Array.from(
      { length: 20_000 },
      (_, at) => `s/${String((at * 7_919) % 20_000).padStart(6, '0')}`,
    )
    const registry = applyEntities(emptyRegistry(), entities('Tool', ids), [])
    const all = vi.spyOn(registry, 'ofType')
    const find = vi.spyOn(registry, 'inOrder')
    const parts = { registry, release: declaring() }
    let turns = 0
    for (const sought of soughtAfter(asked(open, type), parts, 's/019990')) {
      if (sought?.id === 's/019991') break
      expect(sought).toBeUndefined()
      turns += 1
    }
    expect(turns).toBeGreaterThan(10)
    expect(find.mock.calls.map(([, from]) => from)).toEqual(['s/019990\u0000', 's/019990\u0000'])
    expect(all).not.toHaveBeenCalled()
  })
})
