import { beforeAll, describe, expect, test } from 'vitest'
import type { Release } from '#model/release.ts'
import { createEngine, type Engine } from '#policy/engine/engine.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { createSlots, type Slot, type Slots } from '#policy/engine/slots.ts'
import { inBatches, policyRecord, releaseHeader, releaseOfTexts } from '../../support/policy-records.ts'

let release: Release
let other: Release

beforeAll(async () => {
  const texts = ['a', 'b', 'c', 'd'].map((id) => `@id("${id}") permit(principal, action, resource);`)
  release = await releaseOfTexts(texts, 'sha256:one')
  other = await releaseOfTexts(
    texts.map((text) => text.replace('permit', 'forbid')),
    'sha256:two',
  )
})

/** An engine that counts what it prepares. */
function counting(): { readonly engine: Engine; readonly prepared: string[] } {
  const real = createEngine()
  const prepared: string[] = []
  const engine: Engine = {
    get generation() {
      return real.generation
    },
    get traps() {
      return real.traps
    },
    reserve: real.reserve,
    authorize: real.authorize,
    probe: real.probe,
    prepare: (slot, policies) => {
      prepared.push(slot)
      return real.prepare(slot, policies)
    },
  }
  return { engine, prepared }
}

function acquired(slots: Slots, from: Release, ordinals: readonly number[]): Slot {
  const slot = slots.acquire(from, ordinals)
  if ('kind' in slot) throw new Error(slot.detail)
  return slot
}

function decide(engine: Engine, slot: Slot): string {
  const answer = engine.authorize({
    principal: { type: 'A', id: 'a' },
    action: { type: 'Action', id: 'x' },
    resource: { type: 'A', id: 'b' },
    context: {},
    entities: [],
    preparsedPolicySetId: slot.name,
  })
  return 'decision' in answer
    ? `${answer.decision} ${answer.diagnostics.reason.toSorted((a, b) => (a < b ? -1 : 1)).join()}`
    : answer.detail
}

describe('slots', () => {
  test('a slice is prepared once and then reused', () => {
    const { engine, prepared } = counting()
    const slots = createSlots(engine)

    expect(acquired(slots, release, [0, 1])).toBe(acquired(slots, release, [0, 1]))
    expect(prepared).toHaveLength(1)
  })

  test('the same ordinals of two releases are two slices', () => {
    const engine = createEngine()
    const slots = createSlots(engine)
    const [one, two] = [acquired(slots, release, [0, 2]), acquired(slots, other, [0, 2])]

    expect(decide(engine, one)).toBe('allow a,c')
    expect(decide(engine, two)).toBe('deny a,c')
  })

  test('a full ring overwrites the slot that was not used for longest', () => {
    const { engine, prepared } = counting()
    const slots = createSlots(engine, 2)
    acquired(slots, release, [0])
    const second = acquired(slots, release, [1])
    acquired(slots, release, [0])
    const third = acquired(slots, release, [2])

    expect(third.name).toBe(second.name)
    expect(decide(engine, third)).toBe('allow c')
    expect(decide(engine, acquired(slots, release, [0]))).toBe('allow a')
    expect(decide(engine, acquired(slots, release, [1]))).toBe('allow b')
    expect(new Set(prepared).size).toBe(2)
  })

  test('slots give way when their policies together are too many, and none is left behind in the engine', () => {
    const { engine, prepared } = counting()
    const slots = createSlots(engine, 8, 4)
    const small = [0, 1, 2].map((ordinal) => acquired(slots, release, [ordinal]))
    const large = acquired(slots, release, [0, 1, 2, 3])

    expect(large.name).toBe(small[0]?.name)
    expect(decide(engine, large)).toBe('allow a,b,c,d')
    expect(small.slice(1).map((slot) => decide(engine, slot))).toEqual(['deny ', 'deny '])
    expect(decide(engine, acquired(slots, release, [1]))).toBe('allow b')
    expect(new Set(prepared).size).toBe(3)
  })
})

describe('slots of an engine that fails', () => {
  test('after a trap every slice is prepared again', () => {
    const engine = createEngine()
    const slots = createSlots(engine)
    acquired(slots, release, [0, 3])
    const deadly = `permit(principal, action, resource) when { ${Array(3_000).fill('true == true').join(' && ')} };`
    engine.prepare('deadly', { deadly })
    decide(engine, { ...acquired(slots, release, [0]), name: 'deadly' })
    expect(engine.generation).toBe(1)

    expect(decide(engine, acquired(slots, release, [0, 3]))).toBe('allow a,d')
  })

  test('a slice that trapped twice is refused without another try, and only that one', () => {
    const { engine, prepared } = counting()
    const slots = createSlots(engine)
    const { key } = acquired(slots, release, [0])
    slots.trapped(key)
    expect(acquired(slots, release, [0]).key).toBe(key)
    slots.trapped(key)

    expect(slots.acquire(release, [0])).toEqual({
      kind: 'engine',
      detail: 'these policies trapped the engine 2 times and are not tried again',
      trapped: false,
    })
    expect(acquired(slots, release, [0, 1]).key).not.toBe(key)
    expect(prepared).toHaveLength(2)
  })

  test('policies that the engine refuses are a fault and cost no slot', async () => {
    const { engine, prepared } = counting()
    const slots = createSlots(engine, 4)
    const record = { ...policyRecord('@id("p") permit(principal, action, resource);'), text: 'permit(' }
    const broken = await assembleRelease(releaseHeader(1, 'sha256:broken'), inBatches([record]))
    for (let i = 0; i < 3; i += 1) expect(slots.acquire(broken, [0])).toMatchObject({ kind: 'engine' })

    expect(new Set(prepared).size).toBe(1)
  })
})
