import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFaultLines, type FaultLines, type WriteFaultLine } from '#process/fault-lines.ts'

describe('faults that repeat themselves', () => {
  let written: Parameters<WriteFaultLine>[0][]
  let faults: FaultLines
  beforeEach(() => {
    vi.useFakeTimers()
    written = []
    faults = createFaultLines((line) => written.push(line))
  })
  afterEach(() => {
    faults.close()
    vi.useRealTimers()
  })

  test('an outage of a minute with a fault each second is seven lines, none is uncounted', () => {
    for (let second = 0; second < 60; second += 1) {
      faults.report({ message: 'the log could not be written', fault: `fault ${second}` })
      vi.advanceTimersByTime(1_000)
    }
    expect(written[0]).toEqual({ message: 'the log could not be written', fault: 'fault 0' })
    expect(written[1]).toMatchObject({ fault: 'fault 9', count: 9, seconds: 10 })
    expect(written).toHaveLength(7)
    expect(written.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(60)
  })

  test('after a window without faults the next one is written at once', () => {
    faults.report({ message: 'a', fault: '1' })
    vi.advanceTimersByTime(10_000)
    faults.report({ message: 'a', fault: '2' })
    expect(written.map(({ fault }) => fault)).toEqual(['1', '2'])
    expect(vi.getTimerCount()).toBe(1)
  })

  test('what faults are about tells them apart, up to a hundred', () => {
    for (let i = 0; i < 200; i += 1)
      faults.report({ message: 'keys', about: `https://${i}.test`, fault: 'x' })
    expect(written).toHaveLength(101)
    expect(vi.getTimerCount()).toBe(101)
  })

  test('the end writes what was only counted and leaves no timer behind', () => {
    faults.report({ message: 'a', fault: '1' })
    faults.report({ message: 'a', fault: '2' })
    faults.close()
    expect(written).toMatchObject([{ fault: '1' }, { fault: '2', count: 1 }])
    expect(vi.getTimerCount()).toBe(0)
  })
})
