import type { TestProject } from 'vitest/node'
import { findEnvoy, findNginx } from './binaries.ts'

declare module 'vitest' {
  interface ProvidedContext {
    envoy: string
    nginx: string
  }
}

/** Finds or installs the real gateways. Fails the whole run when one can't be had: a gateway is never skipped. */
export async function setup(project: TestProject): Promise<void> {
  project.provide('nginx', await findNginx())
  project.provide('envoy', await findEnvoy())
}
