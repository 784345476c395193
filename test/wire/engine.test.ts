import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TenantId } from '#model/ids.ts'
import type { Release } from '#model/release.ts'
import { createFaultLines, type FaultLine } from '#process/fault-lines.ts'
import { emptyRegistry } from '#registry/snapshot.ts'
import { wireEngine } from '#wire/engine.ts'
import { facts, query, releaseOfTexts, uid } from '../support/policy-records.ts'

const POLICIES = ['@id("low")\npermit(principal, action, resource) when { context.secret == "s3cret" };']
const QUESTION = query([facts(uid('R::"r"'))], { context: new Map([['secret', 'wrong']]) })

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'warder-engine-'))
})
afterEach(() => rm(directory, { recursive: true }))

/** A release whose stored parsed conditions are not those of its text: without any, a permit always holds. */
function tampered(release: Release): Release {
  return { ...release, policy: (ordinal) => ({ ...release.policy(ordinal), conditions: '[]' }) }
}

async function wired(mode: 'compiled' | 'wasm' | 'both', release: Release) {
  const lines: FaultLine[] = []
  const tenant = { id: 'acme' as TenantId, registry: emptyRegistry(), release }
  const faults = createFaultLines((line) => lines.push(line))
  const config = { engine: mode, dataDirectory: directory }
  const engine = await wireEngine(config, { tenants: () => [tenant], faults })
  return { engine, lines, ask: () => engine.evaluate(release, [QUESTION])[0] }
}

const NOT_PERMITTED = { satisfied: [], errored: [] }

describe('WARDER_ENGINE', () => {
  test('`wasm`: nothing else is asked, and nothing is compared', async () => {
    const { engine, ask } = await wired('wasm', tampered(await releaseOfTexts(POLICIES)))
    expect(ask()).toEqual(NOT_PERMITTED)
    expect(engine.stats().comparisons.activation.same).toBe(0)
    engine.close()
  })

  test('`compiled`: a release is proven after it was loaded, without a request', async () => {
    const { engine, lines, ask } = await wired('compiled', await releaseOfTexts(POLICIES))
    await vi.waitFor(() => expect(engine.stats().tenants.compiled).toBe(1), { timeout: 20_000 })
    const before = engine.caches['answer']?.()
    expect(ask()).toEqual(NOT_PERMITTED)
    // cedar-wasm of the hot path was not asked.
    expect(engine.caches['answer']?.()).toEqual(before)
    expect(lines).toEqual([])
    engine.close()
  })

  test('`compiled`: a release that differs alarms, is kept in a file, and is decided by cedar-wasm', async () => {
    const { engine, lines, ask } = await wired('compiled', tampered(await releaseOfTexts(POLICIES)))
    await vi.waitFor(() => expect(lines).toHaveLength(1), { timeout: 20_000 })
    expect(ask()).toEqual(NOT_PERMITTED)
    expect(engine.stats().tenants).toMatchObject({ different: 1, compiled: 0 })
    expect(lines[0]).toMatchObject({
      message: 'the compiled evaluator and cedar-wasm disagree',
      about: 'acme',
    })
    expect(lines[0]?.fault).toMatch(/^activation, release .*, policies low; kept in .*engine-differences/s)
    const folder = join(directory, 'engine-differences')
    const [file = ''] = await readdir(folder)
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(join(folder, file), 'utf8'))).toMatchObject({ tenant: 'acme' })
    engine.close()
  })

  test('`both`: a decision on which they differ is a fault, and values stay out of the line', async () => {
    const { engine, lines, ask } = await wired('both', tampered(await releaseOfTexts(POLICIES, 'sha256:x')))
    expect(ask()).toEqual({ kind: 'engine', detail: 'the two evaluators disagree' })
    await vi.waitFor(() => expect(lines).toHaveLength(1), { timeout: 20_000 })
    expect(JSON.stringify(lines)).not.toMatch(/s3cret|wrong/)
    expect(engine.stats().comparisons.decision.different).toBe(1)
    engine.close()
  })

  test('`both`: what both say is the answer', async () => {
    const { engine, ask } = await wired('both', await releaseOfTexts(POLICIES))
    expect(ask()).toEqual(NOT_PERMITTED)
    expect(engine.stats().comparisons.decision.same).toBe(1)
    engine.close()
  })
})
