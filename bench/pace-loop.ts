import { writeSync } from 'node:fs'
import { median, percentile } from './statistics.ts'

// The process of measurePace: does the same piece of work again and again, alone on its core, and prints what it took.

const SLICE_MILLISECONDS = 100
const SLICES = 80
const WARM_UP = 20_000
const document = JSON.stringify(
  Array.from({ length: 20 }, (_, i) => ({ id: `item-${i}`, value: i * 1.5, tags: ['x', 'y', 'z'] })),
)

for (let i = 0; i < WARM_UP; i += 1) work()
const slices = Array.from({ length: SLICES }, measureSlice).toSorted((a, b) => a - b)
const pace = { fast: percentile(slices, 0.1), slow: percentile(slices, 0.9) }
writeSync(1, JSON.stringify(pace))

/** The median of one slice, in microseconds. */
function measureSlice(): number {
  const took: number[] = []
  const until = performance.now() + SLICE_MILLISECONDS
  for (let at = performance.now(); at < until; ) {
    work()
    const now = performance.now()
    took.push((now - at) * 1000)
    at = now
  }
  return median(took)
}

function work(): number {
  return JSON.stringify(JSON.parse(document)).length
}
