import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Two compilations, one after the other, and a decision's engine beside them, as in a server. */
const SCRIPT = `
  import { readShippedPolicies } from '#admin/policy-folder.ts'
  import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
  import { createEngine } from '#policy/engine/engine.ts'
  const shipped = await readShippedPolicies()
  const files = [{ name: 'a.cedar', text: '@id("a") permit (principal, action, resource);' }]
  const probes = setInterval(() => createEngine().probe(), 1)
  for (let i = 0; i < 2; i += 1) {
    const { ok } = await compileInWorker({ files, ...shipped }, { timeoutMilliseconds: 60_000 })
    if (!ok) throw new Error('not compiled')
  }
  clearInterval(probes)
  console.log('compiled')
`

test('V8 never frees the engine’s code, which has ended whole processes', async () => {
  const args = ['--trace-wasm-code-gc', '--input-type=module-typescript', '--eval', SCRIPT]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout.trim()).toBe('compiled')
})
