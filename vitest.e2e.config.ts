import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/e2e/**/*.e2e.ts'],
    globalSetup: ['test/e2e/setup.ts'],
    // Each file starts servers, databases and gateways, and the drills measure how fast changes act. Files that are no drills
    // may run several at a time: `--maxWorkers=4`.
    maxWorkers: 1,
    // The limits are for hangs, not for speed.
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
})
