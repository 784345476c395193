import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { percentile } from './statistics.ts'

const PAGE = Buffer.alloc(8_192, 1)
const PAGES = 1_000

/** Latencies in milliseconds. */
export interface DiskLatency {
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
}

/** Writes pages of 8 KiB over existing ones and waits for the disk each time, as a commit does: what durable costs at the least here. */
export function measureDisk(folder: string): DiskLatency {
  const path = join(folder, 'bench-disk')
  const file = openSync(path, 'w')
  try {
    for (let page = 0; page < PAGES; page += 1) writeSync(file, PAGE, 0, PAGE.length, page * PAGE.length)
    fdatasyncSync(file)
    const latencies: number[] = []
    for (let page = 0; page < PAGES; page += 1) {
      const startedAt = performance.now()
      writeSync(file, PAGE, 0, PAGE.length, page * PAGE.length)
      fdatasyncSync(file)
      latencies.push(performance.now() - startedAt)
    }
    const sorted = latencies.toSorted((a, b) => a - b)
    return { p50Milliseconds: percentile(sorted, 0.5), p99Milliseconds: percentile(sorted, 0.99) }
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
