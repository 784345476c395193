import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findEnvoy, findNginx } from './binaries.ts'
import { prepareData } from './prepared.ts'

declare module 'vitest' {
  interface ProvidedContext {
    envoy: string
    nginx: string
  }
}

let folder: string | undefined

/**
 * Finds or installs the real gateways, and makes the data that servers begin with. Fails the whole run when a gateway can't
 * be had: it is never skipped.
 */
export async function setup(project: TestProject): Promise<void> {
  project.provide('nginx', await findNginx())
  project.provide('envoy', await findEnvoy())
  // Every server and command is a process of its own, and reading the source is most of what a short one does.
  process.env['NODE_COMPILE_CACHE'] ??= resolve('.cache/node')
  folder = mkdtempSync(join(tmpdir(), 'warder-e2e-prepared-'))
  // As root the database runs as another user, who must be able to reach its folder.
  chmodSync(folder, 0o755)
  try {
    await prepareData(folder)
  } catch (error) {
    teardown()
    throw error
  }
}

/** Removes that data. */
export function teardown(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
}
