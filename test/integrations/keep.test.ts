import { expect, test } from 'vitest'
import { createKeep } from '../../integrations/client-ts/keep.ts'
import type { Decision } from '../../integrations/client-ts/types.ts'

const ALLOW: Decision = {
  decision: 'allow',
  reasons: [],
  obligations: [{ type: 'max_age', policies: [], seconds: 60 }],
  advice: [],
  decision_id: 'd',
  release: 'r',
  expires_at: new Date(Date.now() + 60_000).toISOString(),
}
const QUESTION = { agent: { id: 'bot' }, tool: 'crm/read' }

test('an allow that says for how long is kept', async () => {
  const keep = createKeep(10)
  await keep.add(QUESTION, ALLOW)
  expect(await keep.find(QUESTION)).toEqual(ALLOW)
})

test('a change that is heard while an allow is being put away forgets it too', async () => {
  const keep = createKeep(10)
  const adding = keep.add(QUESTION, ALLOW)
  keep.clear()
  await adding
  expect(await keep.find(QUESTION)).toBeUndefined()
})
