import { describe, expect, test } from 'vitest'
import { JUDGED_MAX } from '#decide/search-pace.ts'
import { nextTurn } from '#lib/next-turn.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { Evaluate } from '#policy/port.ts'
import { type Open, search } from '../support/search.ts'
import { createWorld, policyFile, type World } from '../support/world.ts'

const SCHEMA = {
  name: 'docs.cedarschema',
  text: 'entity user; entity doc; action read appliesTo { principal: [user], resource: [doc] };',
}
const COUNT = JUDGED_MAX + 100
const BODIES: { readonly [open in Open]?: JsonObject } = {
  resource: {
    subject: { type: 'user', id: 'n000000' },
    action: { name: 'read' },
    resource: { type: 'doc' },
  },
  subject: {
    subject: { type: 'user' },
    action: { name: 'read' },
    resource: { type: 'doc', id: 'n000000' },
  },
}
const OPEN = ['resource', 'subject'] as const

const evaluate = createEvaluate(createEngine())

/** A tenant of many users and documents, that tells of each question for the policies. */
async function crowd(onAsked: () => void): Promise<World> {
  const watched: Evaluate = (...asked) => {
    onAsked()
    return evaluate(...asked)
  }
  const entities = ['user', 'doc'].flatMap((type) =>
    Array.from({ length: COUNT }, (_, at) => ({
      uid: { type, id: `n${String(at).padStart(6, '0')}` },
      attrs: {},
      tags: {},
      parents: [],
    })),
  )
  const policies = [SCHEMA, policyFile('@id("all") permit(principal, action, resource);')]
  return await createWorld('acme', { policies, entities, evaluate: watched })
}

/** The world as one whose callers leave. */
function leaving({ decider, ...world }: World, isWanted: () => boolean): World {
  const left = (request: AuthorizationRequest): AuthorizationRequest =>
    request.search === undefined ? request : { ...request, search: { ...request.search, isWanted } }
  return {
    ...world,
    decider: { ...decider, decide: (request, gateway) => decider.decide(left(request), gateway) },
  }
}

describe('searches leave room for everybody else', () => {
  test.each(OPEN)(
    'a turn of the event loop has a slice of one search, however many go on: %s',
    async (open) => {
      let asked = 0
      const world = await crowd(() => {
        asked += 1
      })
      let left = 6
      for (let i = left; i > 0; i -= 1)
        void search(world, open, BODIES[open] ?? {}).then(() => {
          left -= 1
        })
      let [most, before] = [0, 0]
      while (left > 0) {
        await nextTurn()
        most = Math.max(most, asked - before)
        before = asked
      }
      expect(asked).toBe(6 * JUDGED_MAX)
      expect(most).toBeGreaterThan(0)
      expect(most).toBeLessThanOrEqual(2)
    },
  )

  test.each(OPEN)('a search stops when whoever asked has left: %s', async (open) => {
    let asked = 0
    const world = await crowd(() => {
      asked += 1
    })
    const answer = await search(
      leaving(world, () => asked < 10),
      open,
      BODIES[open] ?? {},
    )
    expect(asked).toBe(10)
    // What was found until then is no whole list, and does not say that it is.
    expect(answer.body).toMatchObject({ page: { count: 10, next_token: expect.stringMatching(/./) } })
    expect(world.rows.at(-1)?.trace['search']).toMatchObject({ judged: 10, complete: false })
  })
})
