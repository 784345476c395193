import { setPriority } from 'node:os'
import { workerData } from 'node:worker_threads'
import { type AlarmMemory, ASKED, openMemory, RUNG } from './alarm-memory.ts'

// The thread of an alarm: waits for an instant, rings, waits to be asked for the next.

const { memory, priority } = workerData as { readonly memory: AlarmMemory; readonly priority: number }
const { state, instant } = openMemory(memory)
setPriority(priority)
for (let answered = 0; ; answered += 1) {
  Atomics.wait(state, ASKED, answered)
  const milliseconds = (instant[0] ?? 0) - (performance.timeOrigin + performance.now())
  if (milliseconds > 0) Atomics.wait(state, ASKED, answered + 1, milliseconds)
  Atomics.add(state, RUNG, 1)
  Atomics.notify(state, RUNG)
}
