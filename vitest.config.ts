import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A cold machine needs a second or two for the first initdb; the limits are for hangs, not for speed.
    testTimeout: 30_000,
    hookTimeout: 90_000,
  },
})
