import { describe, expect, test } from 'vitest'
import type { JsonObject } from '#model/value.ts'
import { ASK, act, askWire, codeOf, grant, type Scene, TOOL, tokenOf, worldOf } from './scene.ts'

const CRM = 'https://crm.example'
const MAIL = 'https://mail.example'

/** A grant for what stands behind these URLs alone. */
const at = (from: string, to: string, ...locations: readonly string[]) =>
  grant(from, to, { authorizationDetails: [{ type: 'agent_task', tools: [TOOL], locations }] })

/** What `b` is answered, who acts for `a`, who acts for alice, at a gateway that stands before `externalUrl`. */
async function answerAt(
  externalUrl: string | undefined,
  grants: Scene['grants'] = [],
  claims: JsonObject = {},
) {
  const world = await worldOf({ grants })
  const settings = externalUrl === undefined ? {} : { externalUrl }
  const gateway = { ...world.gateway, settings }
  const token = await tokenOf({ act: act('b', 'a') ?? null, ...claims })
  const codes: string[] = []
  for (const ask of Object.values(ASK)) codes.push(codeOf(await askWire({ ...world, gateway }, ask(token))))
  expect(new Set(codes).size).toBe(1)
  return codes[0]
}

describe('each step of a chain narrows where the next may go', () => {
  test('within all of them the call passes', async () => {
    const grants = [
      at('user:alice', 'a', CRM, MAIL),
      at('user:alice', 'b', CRM, MAIL),
      at('agent:a', 'b', CRM),
    ]
    expect(await answerAt(CRM, grants)).toBe('policy.permit')
  })

  test.each([
    ['the last step', [at('user:alice', 'a', CRM, MAIL), at('agent:a', 'b', CRM)]],
    ['the first step', [at('user:alice', 'a', CRM), at('agent:a', 'b', CRM, MAIL)]],
    ['every step', [at('user:alice', 'a', CRM), at('agent:a', 'b', CRM)]],
    ['two steps, each of them another', [at('user:alice', 'a', CRM), at('agent:a', 'b', MAIL)]],
  ])('outside of %s it denies, whatever the others let', async (_what, grants) => {
    expect(await answerAt(MAIL, grants)).toBe('chain.ceiling')
  })

  test('a gateway that is registered nowhere is within none', async () => {
    expect(await answerAt(undefined, [at('agent:a', 'b', CRM)])).toBe('chain.ceiling')
  })

  test('a grant never lets a token go where the token itself may not', async () => {
    const within = (...locations: readonly string[]) => ({
      authorization_details: [{ type: 'agent_task', tools: [TOOL], locations }],
    })
    const grants = [at('user:alice', 'a', CRM, MAIL), at('agent:a', 'b', CRM, MAIL)]
    expect(await answerAt(CRM, grants, within(CRM))).toBe('policy.permit')
    expect(await answerAt(MAIL, grants, within(CRM))).toBe('scope.authorization_details')
  })
})
