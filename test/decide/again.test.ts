import { expect, test } from 'vitest'
import { stands } from '#decide/again.ts'
import type { Judged } from '#decide/judged.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import type { Decision } from '#model/decision.ts'
import type { DecisionId } from '#model/ids.ts'
import { decision, NOW, obligation } from '../support/fake-decider.ts'

const seconds = (more: number) => (NOW / 1000 + more) as EpochSeconds
const ALLOWED: Decision = decision('019a' as DecisionId, 'allow', 'policy.permit')

function judged(changed: Partial<Judged['judgement']> = {}): Judged {
  const { reasons, obligations, advice, expiresAt } = ALLOWED
  return { judgement: { effect: 'allow', reasons, obligations, advice, expiresAt, trace: {}, ...changed } }
}

const ASKED = { credentials: [{ scheme: 'api-key', value: 'wak_a', header: 'x-api-key' as const }] }
const STRIPPED = [obligation('strip_authorization', {})]

const token = (text: string) => new Hidden(text)
const exchanged = (text: string): Judged => ({ ...judged(), upstreamToken: token(text) })

test('an allow that is judged as before stands, also where it could last longer now', () => {
  expect(stands(ALLOWED, judged(), ASKED)).toBe(true)
  expect(stands(ALLOWED, judged({ expiresAt: seconds(90) }), ASKED)).toBe(true)
  expect(stands(ALLOWED, judged({ expiresAt: undefined }), ASKED)).toBe(true)
  expect(stands({ ...ALLOWED, upstreamToken: token('a') }, exchanged('a'), ASKED)).toBe(true)
})

const FALLEN: readonly (readonly [string, Decision, Judged])[] = [
  ['a deny', ALLOWED, judged({ effect: 'deny', reasons: [{ code: 'policy.forbid', policy: 'p1' }] })],
  ['another policy', ALLOWED, judged({ reasons: [{ code: 'policy.permit', policy: 'p2' }] })],
  ['one obligation more', ALLOWED, judged({ obligations: [obligation('audit', { level: 'info' })] })],
  ['one obligation less', { ...ALLOWED, obligations: [obligation('audit', {})] }, judged()],
  ['other advice', ALLOWED, judged({ advice: [{ text: 'a', policy: 'p1' }] })],
  ['a key in another header', { ...ALLOWED, obligations: STRIPPED }, judged({ obligations: STRIPPED })],
  ['a shorter list', { ...ALLOWED, permitted: [0, 1] }, judged({ permitted: [0] })],
  ['another agent', { ...ALLOWED, identity: { agent: 'a' } }, judged()],
  ['another user', { ...ALLOWED, identity: { user: 'a' } }, judged()],
  ['an earlier end', ALLOWED, judged({ expiresAt: seconds(59) })],
  ['another token for the upstream', { ...ALLOWED, upstreamToken: token('a') }, exchanged('b')],
  ['no token for the upstream', { ...ALLOWED, upstreamToken: token('a') }, judged()],
  ['a token for the upstream', ALLOWED, exchanged('b')],
  ['an end where there was none', { ...ALLOWED, expiresAt: undefined }, judged()],
]
test.each(FALLEN)('with %s it does not', (_what, earlier, now) => {
  expect(stands(earlier, now, ASKED)).toBe(false)
})
