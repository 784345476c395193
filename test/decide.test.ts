import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import type { Decision } from '#model/decision.ts'
import type { Json } from '#model/value.ts'
import { readWith } from './support/ask.ts'
import { createWorld, type World } from './support/world.ts'

interface Case {
  readonly name: string
  readonly endpoint?: string
  readonly request: Json
  readonly expect: {
    readonly decision: boolean | 'allow' | 'deny'
    readonly reason?: string
    readonly obligations?: readonly string[]
  }
}

function casesOf(file: string): { readonly tenant: string; readonly cases: readonly Case[] } {
  return JSON.parse(readFileSync(`test/cases/${file}.json`, 'utf8'))
}

async function ask(world: World, dialect: GatewayDialect, url: string, body: Json): Promise<Decision> {
  const read = readWith(dialect, url, body)
  if (!read.ok) throw new Error(read.failure.message)
  const request = read.value.requests[0]
  if (request === undefined) throw new Error('nothing was read')
  return await world.decider.decide(request, world.gateway)
}

describe('the demo tenant', () => {
  const { cases } = casesOf('demo')
  let world: World
  beforeAll(async () => {
    world = await createWorld('demo', { policies: 'demo' })
  })

  test.each(cases)('$name', async ({ request, expect: expected }) => {
    const decision = await ask(world, native, '/v1/decide', request)
    expect({
      decision: decision.effect,
      reason: decision.reasons[0]?.code,
      obligations: decision.obligations.map(({ type }) => type),
    }).toEqual({ ...expected, obligations: expected.obligations?.toSorted() })
    expect(world.rows.at(-1)).toMatchObject({ decision_id: decision.id, decision: decision.effect })
  })
})

describe.each(['authzen-cert', 'authzen-todo', 'authzen-gateway'])('%s loads as a tenant', (name) => {
  const { tenant, cases } = casesOf(name)
  let world: World
  beforeAll(async () => {
    world = await createWorld(tenant, { policies: name })
  })

  test.each(cases.filter(({ endpoint }) => endpoint !== 'evaluations'))('$name', async (each) => {
    const decision = await ask(world, authzen, '/access/v1/evaluation', each.request)
    expect(decision.effect === 'allow').toBe(each.expect.decision)
  })
})
