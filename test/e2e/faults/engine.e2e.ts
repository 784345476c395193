import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import type { CompileInput } from '#policy/compile/compile.ts'
import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
import { createEngine, type Engine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { Memo } from '#policy/engine/memo.ts'
import { createSlots } from '#policy/engine/slots.ts'
import { askWorld } from '../../support/ask.ts'
import { createWorld, type World } from '../../support/world.ts'
import { figure, LISTING, memoryOf } from './stage.ts'

// In this process: no policy that passes the checks of a push traps the engine, so it is trapped from beside.

const TRAPS = 50
const MEMORY_GROWTH_MEGABYTES_MAX = 256
/** So deep that evaluating it overruns the engine's stack, although it parses. */
const DEADLY = `permit(principal, action, resource) when { ${Array(3_000).fill('context.n == 1').join(' && ')} };`
const CALL = {
  principal: { type: 'A', id: 'a' },
  action: { type: 'Action', id: 'x' },
  resource: { type: 'A', id: 'b' },
  context: { n: 1 },
  entities: [],
}

/** Every question goes to the engine. */
const FORGETFUL: Memo = {
  find: () => undefined,
  offer: () => undefined,
  stats: () => ({ hits: 0, misses: 0, entries: 0 }),
}

let engine: Engine
let world: World

beforeAll(async () => {
  engine = createEngine()
  const evaluate = createEvaluate(engine, FORGETFUL, createSlots(engine))
  world = await createWorld('demo', { policies: 'demo', evaluate })
})

function trap(): void {
  engine.prepare('deadly', { deadly: DEADLY })
  expect(engine.authorize({ ...CALL, preparsedPolicySetId: 'deadly' })).toMatchObject({ trapped: true })
}

async function codeOf(agent: string): Promise<string | undefined> {
  const { reasons } = await askWorld(world, { ...LISTING, agent })
  return reasons[0]?.code
}

test('after each trap the same engine decides as before, and its memory is given back', async () => {
  expect(await codeOf('triage-bot')).toBe('policy.permit')
  const before = memoryOf(process.pid).now
  const waits: number[] = []
  for (let round = 0; round < TRAPS; round++) {
    trap()
    const startedAt = performance.now()
    expect(await codeOf('triage-bot')).toBe('policy.permit')
    waits.push(performance.now() - startedAt)
    expect(engine.probe()).toBe(true)
  }
  const memory = memoryOf(process.pid).now
  figure('engine-trap', {
    traps: engine.traps,
    slowestDecisions: Math.round(Math.max(...waits)),
    memoryBefore: before,
    memory,
  })
  expect(engine.traps).toBe(TRAPS)
  expect(memory - before).toBeLessThan(MEMORY_GROWTH_MEGABYTES_MAX)
})

test('a compiler that runs out of memory or time is a diagnostic, and decisions go on meanwhile', async () => {
  const input: CompileInput = {
    files: [{ name: 'p.cedar', text: manyPolicies(5_000) }],
    guardrails: [],
    warderSchema: readFileSync('policies/schema.cedarschema', 'utf8'),
  }
  const drafts = Promise.all([
    compileInWorker(input, { timeoutMilliseconds: 200_000, heapMegabytesMax: 8 }),
    compileInWorker(input, { timeoutMilliseconds: 200 }),
  ])
  let running = true
  void drafts.then(() => {
    running = false
  })
  const waits: number[] = []
  while (running) {
    const startedAt = performance.now()
    expect(await codeOf('triage-bot')).toBe('policy.permit')
    waits.push(performance.now() - startedAt)
    await sleep(5)
  }
  const codes = (await drafts).map((outcome) => (outcome.ok ? 'ok' : outcome.diagnostics[0]?.code))
  figure('worker-crash', { codes, decisions: waits.length, slowest: Math.round(Math.max(...waits)) })
  expect(codes).toEqual(['policy.compile_crashed', 'policy.compile_timeout'])
  expect(waits.length).toBeGreaterThan(2)
})

function manyPolicies(count: number): string {
  const policy = (n: number) =>
    `@id("p${n}")\npermit (principal == Warder::Agent::"a${n}", action in Warder::Action::"readTools", resource);`
  return Array.from({ length: count }, (_, n) => policy(n)).join('\n')
}
