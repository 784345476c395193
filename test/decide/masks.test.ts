import { expect, test } from 'vitest'
import { nativeRequest } from '../support/ask.ts'
import { createWorld } from '../support/world.ts'

const body = {
  agent: { id: 'planner', properties: { iban: 'DE02-property' } },
  tool: 'bank/transfer',
  arguments: { iban: 'DE02-argument', amount: 5, nested: [{ iban: 'DE02-nested' }] },
  context: { iban: 'DE02-context' },
}

test('a field that the tenant masks is in no row, not even of a refusal, and other fields stay', async () => {
  const world = await createWorld('acme', { policies: 'demo', maskFields: ['iban'] })
  await world.decider.decide(nativeRequest(body), world.gateway)
  const faulty = await createWorld('acme', { policies: 'demo', maskFields: ['iban'], faulty: true })
  await faulty.decider.decide(nativeRequest(body), faulty.gateway)
  for (const rows of [world.rows, faulty.rows]) {
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows)).not.toContain('DE02')
    expect(rows[0]?.trace['replayable']).toBe(false)
    expect(JSON.stringify(rows[0]?.facts)).toContain('"amount":5')
  }
})

test('without such a setting the same values are kept', async () => {
  const world = await createWorld('acme', { policies: 'demo' })
  await world.decider.decide(nativeRequest(body), world.gateway)
  expect(JSON.stringify(world.rows).match(/DE02/g)).toHaveLength(4)
})
