/** `node lock-holder.ts LOCK COUNTER TIMES`: adds one to the number in a file, TIMES times, each under the lock. */
import { readFileSync, writeFileSync } from 'node:fs'
import { withProcessLock } from '#store/process-lock.ts'

const [lock = '', counter = '', times = '0'] = process.argv.slice(2)
for (let i = 0; i < Number(times); i++) {
  await withProcessLock(lock, 20_000, async () => {
    const before = Number(readFileSync(counter, 'utf8'))
    await new Promise((resolve) => setImmediate(resolve))
    writeFileSync(counter, String(before + 1))
  })
}
