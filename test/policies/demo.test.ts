import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import type { Decision } from '#model/decision.ts'
import type { JsonObject } from '#model/value.ts'
import { createWorld, NOON, type World } from '../support/world.ts'

interface Case {
  readonly name: string
  readonly request: JsonObject
  readonly expect: { readonly decision: 'allow' | 'deny' }
}

const cases: readonly Case[] = JSON.parse(readFileSync('test/cases/demo.json', 'utf8')).cases
const denied = cases.filter((each) => each.expect.decision === 'deny')

async function decide(
  { decider, gateway }: World,
  dialect: GatewayDialect,
  rawHeaders: readonly string[],
  body: string,
): Promise<Decision> {
  const wire = {
    method: body === '' ? 'GET' : 'POST',
    rawUrl: '/',
    rawHeaders,
    body: new TextEncoder().encode(body),
    peer: '',
  }
  const asked = dialect.read(wire, gateway, NOON)
  const request = asked.ok ? asked.value.requests[0] : undefined
  if (request === undefined) throw new Error('the request could not be read')
  return await decider.decide(request, gateway)
}

function without(request: JsonObject, party: 'agent' | 'user'): string {
  const { [party]: _left, ...rest } = request
  return JSON.stringify(rest)
}

describe('leaving a party out turns no deny of the demo into an allow', () => {
  const json = ['content-type', 'application/json']
  let world: World
  beforeAll(async () => {
    world = await createWorld('demo', { policies: 'demo' })
  })

  test.each(denied)('without the agent: $name', async ({ request }) => {
    expect((await decide(world, native, json, without(request, 'agent'))).effect).toBe('deny')
  })

  // What triage-nightly permits to this agent alone is permitted whomever else it could have named.
  const nightly = ({ agent, tool, resource }: JsonObject): boolean =>
    tool === 'github/list_repos' && resource === undefined && JSON.stringify(agent) === '{"id":"triage-bot"}'
  test.each(denied.filter(({ request }) => !nightly(request)))(
    'without the user: $name',
    async ({ request }) => {
      expect((await decide(world, native, json, without(request, 'user'))).effect).toBe('deny')
    },
  )
})

describe('the demo behind a gateway that speaks in headers', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld('demo', { policies: 'demo', gateway: { asserts: new Set(['identity']) } })
  })

  function call(method: string, path: string, agent: string): Promise<Decision> {
    const original = ['x-forwarded-method', method, 'x-forwarded-uri', path]
    return decide(world, forwardAuth, [...original, 'x-warder-agent', agent, 'x-warder-user', 'alice'], '')
  }

  test.each([
    ['GET', '/repos', 'triage-bot', 'allow', []],
    ['GET', '/repos/42', 'triage-bot', 'allow', ['set_header']],
    ['GET', '/repos/42?page=2', 'triage-bot', 'allow', ['set_header']],
    ['DELETE', '/repos/42', 'triage-bot', 'deny', []],
    ['DELETE', '/repos/42', 'release-bot', 'allow', ['max_age']],
    ['POST', '/repos', 'triage-bot', 'deny', []],
    ['GET', '/repos/42/issues', 'triage-bot', 'deny', []],
    ['GET', '/Repos', 'triage-bot', 'deny', []],
  ])('%s %s of %s: %s', async (method, path, agent, effect, obligations) => {
    const decision = await call(method, path, agent)
    expect({ effect: decision.effect, obligations: decision.obligations.map(({ type }) => type) }).toEqual({
      effect,
      obligations,
    })
  })
})
