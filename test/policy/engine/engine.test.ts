import { describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '#policy/engine/engine.ts'

/** So deep that evaluating it overruns the engine's stack, although it parses. */
const DEADLY = `permit(principal, action, resource) when { ${Array(3_000).fill('context.n == 1').join(' && ')} };`
const CALL = {
  principal: { type: 'A', id: 'a' },
  action: { type: 'Action', id: 'x' },
  resource: { type: 'A', id: 'b' },
  context: { n: 1 },
  entities: [],
}

function trap(engine: Engine): void {
  expect(engine.prepare('deadly', { deadly: DEADLY })).toBeUndefined()
  expect(engine.authorize({ ...CALL, preparsedPolicySetId: 'deadly' })).toEqual({
    kind: 'engine',
    detail: expect.stringMatching(/^the engine trapped: /),
    trapped: true,
  })
}

describe('an engine that trapped', () => {
  test('is replaced and answers the next call', () => {
    const engine = createEngine()
    for (let round = 1; round <= 3; round += 1) {
      trap(engine)
      expect(engine.generation).toBe(round)
      expect(engine.traps).toBe(round)
      expect(engine.probe()).toBe(true)
    }
  })

  test('has forgotten what was prepared before, and says so instead of answering', () => {
    const engine = createEngine()
    engine.prepare('kept', { all: 'permit(principal, action, resource);' })
    trap(engine)
    const answer = engine.authorize({ ...CALL, preparsedPolicySetId: 'kept' })

    expect(answer).toMatchObject({ kind: 'engine', trapped: false })
  })

  test('does not touch another engine', () => {
    const [engine, other] = [createEngine(), createEngine()]
    other.prepare('kept', { all: 'permit(principal, action, resource);' })
    trap(engine)

    expect(other.authorize({ ...CALL, preparsedPolicySetId: 'kept' })).toMatchObject({ decision: 'allow' })
    expect(other.generation).toBe(0)
  })
})

describe('a call that the engine refuses is a fault, not an exception', () => {
  const engine = createEngine()
  engine.prepare('all', { all: 'permit(principal, action, resource);' })

  test.each([
    ['a policy that does not parse', () => engine.prepare('s', { p: 'permit(' })],
    ['an unknown slot', () => engine.authorize({ ...CALL, preparsedPolicySetId: 'nowhere' })],
    ['a fraction', () => engine.authorize({ ...CALL, context: { n: 1.5 }, preparsedPolicySetId: 'all' })],
    [
      'a lone surrogate',
      () => engine.authorize({ ...CALL, context: { s: '\ud800' }, preparsedPolicySetId: 'all' }),
    ],
  ])('%s', (_, call) => {
    expect(call()).toMatchObject({ kind: 'engine', trapped: false })
    expect(engine.probe()).toBe(true)
  })

  test('and its text does not quote the values of the call', () => {
    const context = { ip: { __extn: { fn: 'ip', arg: 'the-secret' } } }
    const answer = engine.authorize({ ...CALL, context, preparsedPolicySetId: 'all' })

    expect(answer).toMatchObject({ kind: 'engine' })
    expect(JSON.stringify(answer)).not.toContain('the-secret')
  })
})

test('the probe knows an allow, a forbid and a missing permit', () => {
  expect(createEngine().probe()).toBe(true)
})

test('slot names are never given twice', () => {
  const engine = createEngine()
  expect(new Set([engine.reserve(), engine.reserve(), engine.reserve()]).size).toBe(3)
})
