import { getPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type AlarmMemory, ASKED, openMemory, RUNG, sharedMemory } from './alarm-memory.ts'

/** Wakes the event loop at given instants. */
export interface Alarm {
  /** Resolves at an instant of `performance.now()`, at once where it is past. One at a time. */
  at(instant: number): Promise<void>
  close(): void
}

/**
 * The event loop's own timers are as coarse as 1 ms, which is more than most answers take: a thread of its own waits instead, and
 * rings some 0.1 ms after the instant.
 */
export async function createAlarm(): Promise<Alarm> {
  const memory: AlarmMemory = sharedMemory()
  const { state, instant } = openMemory(memory)
  const worker = new Worker(new URL('./alarm-worker.ts', import.meta.url), {
    workerData: { memory, priority: getPriority() },
  })
  const alarm: Alarm = {
    at: async (when) => {
      const rung = Atomics.load(state, RUNG)
      instant[0] = performance.timeOrigin + when
      const woken = Atomics.waitAsync(state, RUNG, rung)
      Atomics.add(state, ASKED, 1)
      Atomics.notify(state, ASKED)
      await woken.value
    },
    close: () => {
      void worker.terminate()
    },
  }
  // Rings when the thread has started, which takes tens of milliseconds.
  await alarm.at(performance.now())
  return alarm
}
