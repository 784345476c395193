import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** They take about a minute each with the numbers of cases that .ci/run asks for. */
const LONG = /\/(oracle|differential)\.test\.ts$/

/** Begins with the files that would otherwise keep one worker busy when the others are done. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    sequence: { sequencer: LongFirst },
    // Files share a process and what it has imported, which spares two thirds of the time: each must leave all as it found it.
    isolate: false,
    // By default one core stays without a worker: of two that is half.
    maxWorkers: '100%',
    // The limits are for hangs, not for speed: a machine may have much else to do.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
})
