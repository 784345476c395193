import { createHash } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { statusAnswer } from '#gateways/status-answer.ts'
import { type DetailedCall, fitsDetails } from '#guards/authorization-details.ts'
import { guardScopes } from '#guards/scopes.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { bearer, claims, issuer, makeKey, request, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile } from '../support/world.ts'

const TOOL = 'crm/read'
const CALL: DetailedCall = {
  request: request({ tool: TOOL }),
  now: NOON,
  tool: TOOL,
  groups: ['readTools', 'callTool'],
  locations: ['https://api.example'],
}

function token(more: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    issuer: 'i',
    subject: 's',
    id: 'j',
    expiresAt: 0 as EpochSeconds,
    issuedAt: undefined,
    scopes: ['a', 'b'],
    ...more,
  }
}

test.each<[string, readonly string[], VerifiedToken | undefined, boolean]>([
  ['nothing is needed', [], token(), true],
  ['nothing is needed and there is no token', [], undefined, true],
  ['every needed scope is there', ['b', 'a'], token(), true],
  ['one is missing', ['a', 'c'], token(), false],
  ['there is no token', ['a'], undefined, false],
  ['it differs by case', ['A'], token(), false],
])('when %s the guard passes as expected', (_, needed, given, passes) => {
  const stopped = guardScopes(given, needed, CALL)
  expect(stopped === undefined).toBe(passes)
  if (!passes)
    expect(stopped).toMatchObject({
      code: 'scope.insufficient',
      challenge: { scheme: 'Bearer', error: 'insufficient_scope', scope: needed },
    })
})

const hash = (goal: string) => createHash('sha256').update(goal).digest('base64url')
const task = (more: JsonObject = {}): JsonObject => ({ type: 'agent_task', tools: [TOOL], ...more })
const call = (more: JsonObject = {}): JsonObject => ({ type: 'tool_call', tools: ['crm/*'], ...more })

test.each<[string, readonly JsonObject[], Parameters<typeof request>[0], boolean]>([
  ['a task that names the tool', [task()], {}, true],
  ['a task for all tools of the server', [task({ tools: ['crm/*'] })], {}, true],
  ['a task for another tool', [task({ tools: ['crm/write'] })], {}, false],
  ['a task for all tools', [task({ tools: ['*'] })], {}, false],
  ['a task for a server whose name begins alike', [task({ tools: ['cr/*'] })], {}, false],
  ['a task without tools', [{ type: 'agent_task' }], {}, false],
  ['tools of which one is no text', [task({ tools: [TOOL, 7] })], {}, false],
  ['no details at all', [], {}, false],
  ['an unknown type', [{ type: 'payment', tools: [TOOL] }], {}, false],
  ['a type from a prototype', [{ type: 'constructor', tools: [TOOL] }], {}, false],
  ['a member that the type does not have', [task({ max_calls: 5 })], {}, false],
  ['a member from a prototype', [task({ toString: true })], {}, false],
  ['an alternative that fits', [{ type: 'payment' }, task()], {}, true],
  ['two halves that do not add up', [task({ actions: ['x'] }), task({ tools: ['x'] })], {}, false],
  ['the group of the tool', [task({ actions: ['readTools'] })], {}, true],
  ['another group', [task({ actions: ['writeTools'] })], {}, false],
  ['our location', [task({ locations: ['https://api.example'] })], {}, true],
  ['another location', [task({ locations: ['https://api.example/'] })], {}, false],
  ['a task that ends later', [task({ expires: NOON / 1000 + 1 })], {}, true],
  ['a task that ends now', [task({ expires: NOON / 1000 })], {}, false],
  ['an end as text', [task({ expires: '2999' })], {}, false],
  ['the task that is declared', [task({ task_id: 't1' })], { declared: { task: 't1' } }, true],
  ['a task while none is declared', [task({ task_id: 't1' })], {}, true],
  ['a task while another is declared', [task({ task_id: 't1' })], { declared: { task: 't2' } }, false],
  ['the goal that is declared', [task({ goal_hash: hash('g') })], { declared: { goal: 'g' } }, true],
  ['a goal while another is declared', [task({ goal_hash: hash('g') })], { declared: { goal: 'h' } }, false],
  ['a goal while none is declared', [task({ goal_hash: hash('g') })], {}, false],
  ['a data type without data', [task({ datatypes: ['customer'] })], {}, false],
  [
    'the data that is asked for',
    [task({ datatypes: ['customer'], identifier: '7' })],
    { resource: { type: 'customer', id: '7', properties: {} } },
    true,
  ],
  [
    'other data',
    [task({ datatypes: ['customer'], identifier: '8' })],
    { resource: { type: 'customer', id: '7', properties: {} } },
    false,
  ],
  ['an amount within', [call({ arguments: { amount: { max: 50 } } })], { arguments: { amount: 50 } }, true],
  ['an amount beyond', [call({ arguments: { amount: { max: 50 } } })], { arguments: { amount: 51 } }, false],
  [
    'an amount as text',
    [call({ arguments: { amount: { max: 50 } } })],
    { arguments: { amount: '5' } },
    false,
  ],
  ['an amount that is absent', [call({ arguments: { amount: { max: 50 } } })], {}, false],
  ['the same recipient', [call({ arguments: { to: 'x' } })], { arguments: { to: 'x' } }, true],
  ['another recipient', [call({ arguments: { to: 'x' } })], { arguments: { to: 'y' } }, false],
  [
    'one of the recipients',
    [call({ arguments: { to: { in: ['x', 'y'] } } })],
    { arguments: { to: 'y' } },
    true,
  ],
  ['an unknown bound', [call({ arguments: { to: { like: 'x' } } })], { arguments: { to: 'x' } }, false],
  ['an empty bound', [call({ arguments: { to: {} } })], { arguments: { to: 'x' } }, false],
])('authorization details with %s cover the call as expected', (_, details, more, covers) => {
  expect(fitsDetails(details, { ...CALL, request: request(more) })).toBe(covers)
})

let key: SigningKey
beforeAll(async () => {
  key = await makeKey('ES256', 'k')
})

const entity = (type: string, id: string, more: Partial<StoredEntity> = {}): StoredEntity => ({
  uid: { type: `Warder::${type}`, id },
  attrs: type === 'Agent' ? { status: 'active', environment: 'any' } : {},
  tags: {},
  parents: [],
  ...more,
})

async function decide(more: JsonObject) {
  const world = await createWorld('acme', {
    policies: [policyFile('@id("all") permit(principal, action in Warder::Action::"callTool", resource);')],
    entities: [
      entity('Agent', 'agent-1'),
      entity('Action', TOOL, { parents: [{ type: 'Warder::Action', id: 'readTools' }] }),
    ],
    issuers: [issuer([key])],
    rules: { scopes: { [TOOL]: ['crm.read'], callTool: ['tools.call'], destructiveTools: ['admin'] } },
  })
  const times = { iat: NOON / 1000 - 60, exp: NOON / 1000 + 60 }
  const text = await sign(key, claims({ ...times, ...more }))
  return await world.decider.decide(request({ ...bearer(text), now: NOON, tool: TOOL }), world.gateway)
}

test('a call needs the scopes of its tool and of its groups, and the answer names all of them', async () => {
  expect(await decide({ scope: 'tools.call crm.read' })).toMatchObject({ effect: 'allow' })
  const denied = await decide({ scope: 'tools.call' })
  expect(denied).toMatchObject({ effect: 'deny', reasons: [{ code: 'scope.insufficient' }] })
  expect(denied.challenge?.scope?.toSorted()).toEqual(['crm.read', 'tools.call'])
  const answer = statusAnswer(denied, () => [])
  expect(answer.status).toBe(403)
  expect(new Map(answer.headers).get('www-authenticate')).toMatch(
    /^Bearer realm="warder", error="insufficient_scope", scope="(?:crm.read tools.call|tools.call crm.read)"$/,
  )
})

test('authorization details are a ceiling over what policies permit', async () => {
  const scope = 'tools.call crm.read'
  const details = (tools: string) => [{ type: 'agent_task', tools: [tools] }]
  expect(await decide({ scope, authorization_details: details('crm/*') })).toMatchObject({ effect: 'allow' })
  expect(await decide({ scope, authorization_details: details('erp/*') })).toMatchObject({
    reasons: [{ code: 'scope.authorization_details' }],
  })
  expect(await decide({ scope, authorization_details: {} })).toMatchObject({
    reasons: [{ code: 'token.claim_invalid' }],
  })
})
