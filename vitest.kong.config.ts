import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/e2e/kong/real.ts'],
    globalSetup: ['test/e2e/kong/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
