import { describe, expect, test } from 'vitest'
import type { Gateway } from '#model/gateway.ts'
import type { JsonObject } from '#model/value.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { Evaluate } from '#policy/port.ts'
import { type CaseSet, generateCaseSet } from '../support/generate/case-set.ts'
import type { GenRequest } from '../support/generate/facts.ts'
import { AGENTS, generateWarderTenant, RESOURCES, TOOLS, USERS } from '../support/generate/warder.ts'
import { sendable, tenantOf } from '../support/generate/world.ts'
import { findAll, isAllowed, type Open } from '../support/search.ts'
import { createWorld, type World } from '../support/world.ts'

const wasm = createEvaluate(createEngine())
/** With how many generated tenants each is asked. */
const ENGINES: readonly [string, Evaluate, number][] = [
  ['compiled', createCompiledEvaluate(wasm), 25],
  ['wasm', wasm, 10],
]
const REQUESTS = 3
const OPEN: readonly Open[] = ['subject', 'resource', 'action']

/** What the search shows, and which of `ids` the evaluation allows. */
async function bothWays(
  world: World,
  open: Open,
  body: JsonObject,
  ids: readonly string[],
  limit?: number,
): Promise<{ readonly found: readonly string[]; readonly allowed: readonly string[] }> {
  const allowed: string[] = []
  for (const id of [...new Set(ids)].sort((a, b) => (a < b ? -1 : 1)))
    if (await isAllowed(world, open, body, id)) allowed.push(id)
  return { found: await findAll(world, open, body, limit), allowed }
}

/** Counts of what a proof was about: one about nothing would pass as well. */
class Seen {
  allowed = 0
  denied = 0

  add(ids: readonly string[], { allowed }: { readonly allowed: readonly string[] }): void {
    this.allowed += allowed.length
    this.denied += ids.length - allowed.length
  }

  isEnough(least: number): void {
    expect(Math.min(this.allowed, this.denied)).toBeGreaterThan(least)
  }
}

const registered = ({ tenant }: World, type: string): readonly string[] =>
  tenant.registry.ofType(type).map(({ uid }) => uid.id)

/** The same question with each part open in turn, of a generated tenant. Its gateways trust what callers say, or they do not. */
function generatedQuestion(request: GenRequest, at: number): JsonObject {
  const says = at % 2 === 0 ? {} : { properties: { level: at, a: 'x', b: [1, 2] } }
  return {
    subject: { ...request.principal, ...says },
    action: { name: request.action.uid.id },
    resource: { ...request.resource, ...says },
    context: sendable(request.context),
  }
}

async function checkGenerated(evaluate: Evaluate, set: CaseSet, seed: number, seen: Seen): Promise<void> {
  const gateway: Partial<Gateway> = seed % 3 === 0 ? { asserts: new Set(['identity'] as const) } : {}
  const world = await createWorld('acme', { ...(await tenantOf(set)), policies: [], evaluate, gateway })
  for (const [at, request] of set.requests.entries()) {
    const body = generatedQuestion(request, at)
    for (const open of OPEN) {
      const types = { subject: request.principal.type, resource: request.resource.type, action: 'Action' }
      const ids = registered(world, types[open])
      const ways = await bothWays(world, open, body, ids, [undefined, 1, 2][at])
      expect(ways.found, `seed ${seed}, request ${at}, ${open}`).toEqual(ways.allowed)
      seen.add(ids, ways)
    }
  }
}

describe.each(ENGINES)(
  'a search shows what evaluations allow, all of it, by the evaluator %s',
  (_name, evaluate, sets) => {
    test('of generated tenants with a vocabulary of their own', { timeout: 300_000 }, async () => {
      const seen = new Seen()
      for (let seed = 1, made = 0; made < sets; seed += 1) {
        const set = generateCaseSet(seed, REQUESTS)
        // Without a schema an action is of the type `Action`.
        if (set.schema.actions.some(({ uid }) => uid.type !== 'Action')) continue
        made += 1
        await checkGenerated(evaluate, set, seed, seen)
      }
      seen.isEnough(sets)
    })

    test('of generated tenants in the vocabulary of Warder', { timeout: 300_000 }, async () => {
      const seen = new Seen()
      for (let seed = 1; seed <= sets * 2; seed += 1) {
        const world = await createWorld('acme', {
          ...(await generateWarderTenant(seed, 'acme')),
          policies: [],
          evaluate,
        })
        for (const [open, body, ids] of warderQuestions(seed)) {
          const ways = await bothWays(world, open, body, ids, [undefined, 1][seed % 2])
          expect([seed, body, ways.found]).toEqual([seed, body, ways.allowed])
          seen.add(ids, ways)
        }
      }
      seen.isEnough(sets)
    })

    test('of the demo: tools, data, actions and parties, suspended ones too', {
      timeout: 300_000,
    }, async () => {
      const world = await createWorld('demo', { policies: 'demo', evaluate })
      const seen = new Seen()
      for (const [open, body, type] of demoQuestions(registered(world, 'Warder::Tool'))) {
        const ids = type === CALL ? [CALL] : registered(world, type)
        const ways = await bothWays(world, open, body, ids, 2)
        expect([body, ways.found]).toEqual([body, ways.allowed])
        seen.add(ids, ways)
      }
      seen.isEnough(50)
    })
  },
)

/** Questions about a generated tenant, with everything that could be found. */
function* warderQuestions(seed: number): Iterable<readonly [Open, JsonObject, readonly string[]]> {
  const at = (list: readonly string[]): string => list[seed % list.length] ?? ''
  const context: JsonObject = { ...(seed % 3 > 0 && { user: at(USERS) }), warder: WARDER }
  const by = { subject: { type: 'agent', id: at(AGENTS) }, context }
  const data = { type: 'Warder::Resource', id: at(RESOURCES) }
  const kinds = RESOURCES.flatMap((id) => (id.startsWith('kind:') ? [id.slice(5)] : []))
  yield ['resource', { ...by, action: { name: CALL }, resource: { type: 'tool' } }, TOOLS]
  yield [
    'resource',
    { ...by, action: { name: at(TOOLS) }, resource: { type: 'Warder::Resource' } },
    RESOURCES,
  ]
  yield ['resource', { ...by, action: { name: at(TOOLS) }, resource: { type: 'kind' } }, kinds]
  yield ['action', { ...by, resource: data }, TOOLS]
  const call = { action: { name: at(TOOLS) }, resource: data }
  yield ['subject', { ...call, subject: { type: 'agent' }, context }, AGENTS]
  yield [
    'subject',
    { ...call, subject: { type: 'user' }, context: { agent: at(AGENTS), warder: WARDER } },
    USERS,
  ]
  const act = { type: 'agent', properties: { act: { sub: at(AGENTS) } } }
  yield ['subject', { ...call, subject: act, context }, AGENTS]
}

const CALL = 'tools/call'
const DEMO_AGENTS = ['triage-bot', 'release-bot', 'old-bot']
const DEMO_USERS = ['alice', 'dave', undefined]
const WARDER: JsonObject = { arguments: { amount: 10 }, risk: { score: 10 } }

/** Questions about the demo, with the type of what is looked for. */
function* demoQuestions(tools: readonly string[]): Iterable<readonly [Open, JsonObject, string]> {
  for (const id of DEMO_AGENTS) {
    for (const user of DEMO_USERS) {
      const by = { subject: { type: 'agent', id }, context: contextOf(user) }
      const tool = { type: 'tool', id: 'github/list_repos' }
      const website = { type: 'Warder::Resource', id: 'repo/website' }
      yield ['resource', { ...by, action: { name: CALL }, resource: { type: 'tool' } }, 'Warder::Tool']
      yield ['action', { ...by, resource: tool }, CALL]
      yield ['action', { ...by, resource: website }, 'Warder::Action']
      for (const name of ['repos/read', 'repos/delete', 'crm/read_customer'])
        yield [
          'resource',
          { ...by, action: { name }, resource: { type: 'Warder::Resource' } },
          'Warder::Resource',
        ]
    }
  }
  for (const id of tools) {
    const call = { action: { name: CALL }, resource: { type: 'tool', id } }
    for (const user of DEMO_USERS)
      yield ['subject', { ...call, subject: { type: 'agent' }, context: contextOf(user) }, 'Warder::Agent']
    for (const agent of DEMO_AGENTS)
      yield [
        'subject',
        { ...call, subject: { type: 'user' }, context: { agent, warder: WARDER } },
        'Warder::User',
      ]
  }
}

function contextOf(user: string | undefined): JsonObject {
  return { ...(user !== undefined && { user }), warder: WARDER }
}
