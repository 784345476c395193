import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { AdminStore } from '#admin/ports.ts'
import { type WatchEvent, watchPolicies } from '#admin/watch-policies.ts'
import type { TenantId } from '#model/ids.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

const folder = mkdtempSync(join(tmpdir(), 'warder-watch-'))
const tenant = 'demo' as TenantId
const PATIENCE = { timeout: 60_000, interval: 50 }
const policy = (id: string) =>
  `@id("${id}")\npermit (principal == user::"ann", action == Action::"read", resource);\n`
let db: TestDatabase
let store: AdminStore

beforeAll(async () => {
  db = await openTestDatabase()
  store = createAdminStore(db)
  await store.addTenant(tenant)
})

afterAll(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

function folderOf(name: string, text: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  writeFileSync(join(path, 'a.cedar'), text)
  return path
}

function watching(directory: string, forTenant = 'demo', on = store) {
  const events: WatchEvent[] = []
  const watch = watchPolicies({
    store: on,
    tenant: forTenant,
    directory,
    onEvent: (event) => events.push(event),
  })
  return { events, watch, kinds: () => events.map(({ kind }) => kind) }
}

async function activePolicies(): Promise<readonly string[]> {
  const found = await store.findRelease(tenant, 'active')
  return (found?.sources ?? []).map(({ text }) => /@id\("(.*?)"\)/.exec(text)?.[1] ?? '')
}

test('the folder is active at once and after each change; an error never replaces what is active', async () => {
  const path = folderOf('edited', policy('one'))
  const { events, watch, kinds } = watching(path)
  await vi.waitFor(() => expect(kinds()).toEqual(['active']), PATIENCE)
  expect(await activePolicies()).toEqual(['one'])

  writeFileSync(join(path, 'a.cedar'), 'permit (principal, actio, resource);')
  await vi.waitFor(() => expect(kinds()).toEqual(['active', 'refused']), PATIENCE)
  expect(events[1]).toMatchObject({
    diagnostics: [
      { code: 'schema.missing' },
      { code: 'policy.syntax', file: 'a.cedar', line: 1, column: 20 },
    ],
  })
  expect(await activePolicies()).toEqual(['one'])

  // As editors do: written beside it and moved over it.
  writeFileSync(join(path, '.draft'), policy('two'))
  renameSync(join(path, '.draft'), join(path, 'a.cedar'))
  await vi.waitFor(() => expect(kinds()).toEqual(['active', 'refused', 'active']), PATIENCE)
  expect(await activePolicies()).toEqual(['two'])

  // A test that fails stops the release as well.
  mkdirSync(join(path, 'tests'))
  const request = { principal: 'user::"ann"', action: 'Action::"read"', resource: 'doc::"d"' }
  writeFileSync(join(path, 'tests', 'a.json'), JSON.stringify([{ name: 'no', request, decision: 'deny' }]))
  await vi.waitFor(() => expect(kinds().at(-1)).toBe('refused'), PATIENCE)
  expect(await activePolicies()).toEqual(['two'])
  await watch.close()
  const told = events.length
  writeFileSync(join(path, 'a.cedar'), policy('three'))
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  expect(events).toHaveLength(told)
})

test('many files that are saved together make one release', async () => {
  const path = folderOf('many', policy('zero'))
  const { watch, kinds } = watching(path)
  await vi.waitFor(() => expect(kinds()).toEqual(['active']), PATIENCE)
  for (let i = 0; i < 20; i += 1) {
    writeFileSync(join(path, `b${i}.cedar`), policy(`b${i}`))
    // The watcher hears of each, but no clock decides whether they are one save.
    await new Promise((resolve) => setImmediate(resolve))
  }
  await vi.waitFor(async () => expect(await activePolicies()).toHaveLength(21), PATIENCE)
  await watch.close()
  expect(kinds()).toEqual(['active', 'active'])
})

test('an emptied folder and an unknown tenant are told once, tried again, and activate nothing', async () => {
  const path = folderOf('emptied', policy('kept'))
  const { events, watch, kinds } = watching(path)
  await vi.waitFor(() => expect(kinds()).toEqual(['active']), PATIENCE)
  rmSync(join(path, 'a.cedar'))
  await vi.waitFor(
    () => expect(events.at(-1)).toMatchObject({ kind: 'failed', code: 'folder.empty' }),
    PATIENCE,
  )
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  expect(kinds()).toEqual(['active', 'failed'])
  expect(await activePolicies()).toEqual(['kept'])
  writeFileSync(join(path, 'a.cedar'), policy('again'))
  await vi.waitFor(() => expect(kinds().at(-1)).toBe('active'), PATIENCE)
  await watch.close()

  const stranger = watching(path, 'nobody')
  await vi.waitFor(
    () => expect(stranger.events).toMatchObject([{ kind: 'failed', code: 'tenant.unknown' }]),
    PATIENCE,
  )
  await stranger.watch.close()
})

test('a database that fails is told without its details, and tried again', async () => {
  const path = folderOf('broken-store', policy('later'))
  let isBroken = true
  const flaky: AdminStore = {
    ...store,
    pushRelease: (...args) => {
      if (isBroken) throw new Error('password=hunter2')
      return store.pushRelease(...args)
    },
  }
  const { events, watch, kinds } = watching(path, 'demo', flaky)
  await vi.waitFor(() => expect(kinds()).toEqual(['failed']), PATIENCE)
  expect(JSON.stringify(events)).not.toContain('hunter2')
  isBroken = false
  await vi.waitFor(() => expect(kinds()).toEqual(['failed', 'active']), PATIENCE)
  await watch.close()
})
