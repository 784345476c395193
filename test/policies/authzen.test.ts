import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import type { ItemAnswer } from '#gateways/wire.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { createWorld, NOON, type World } from '../support/world.ts'

interface Case {
  readonly name: string
  readonly endpoint: 'evaluation' | 'evaluations'
  readonly request: JsonObject
  readonly expect: { readonly decision: boolean } | { readonly evaluations: readonly boolean[] }
}

function casesOf(example: string): readonly Case[] {
  return JSON.parse(readFileSync(`test/cases/${example}.json`, 'utf8')).cases
}

/** The body that the server would send. */
async function answer({ decider, gateway }: World, endpoint: string, body: JsonObject): Promise<Json> {
  const wire = {
    method: 'POST',
    rawUrl: `/access/v1/${endpoint}`,
    rawHeaders: ['content-type', 'application/json'],
    body: new TextEncoder().encode(JSON.stringify(body)),
    peer: '192.0.2.1',
  }
  const asked = authzen.read(wire, gateway, NOON)
  if (!asked.ok) throw new Error(`${asked.failure.code}: ${asked.failure.message}`)
  const items: ItemAnswer[] = []
  for (const request of asked.value.requests) items.push({ decision: await decider.decide(request, gateway) })
  return JSON.parse(authzen.write(items, asked.value, wire).body)
}

describe.each(['authzen-cert', 'authzen-todo', 'authzen-gateway'])('%s', (example) => {
  let world: World
  beforeAll(async () => {
    world = await createWorld(example, { policies: example })
  })

  // The interoperability harnesses compare whole bodies: nothing may stand beside the decision.
  test.each(casesOf(example))('answers exactly the decision: $name', async (each) => {
    const expected =
      'decision' in each.expect
        ? each.expect
        : { evaluations: each.expect.evaluations.map((decision) => ({ decision })) }
    expect(await answer(world, each.endpoint, each.request)).toEqual(expected)
  })
})
