import { setTimeout as sleep } from 'node:timers/promises'
import { CHANGES_CHANNEL } from './changes.ts'
import type { Sql } from './connections.ts'
import type { Database } from './database.ts'

/** A connection that listens. */
export interface ChangeListener {
  close(): Promise<void>
}

const RECONNECT_MILLISECONDS_MAX = 2_000
const STATEMENT_MILLISECONDS = 5_000

/**
 * Calls `onChange` for each notification, and after each (re)connect, because what was notified in between is lost.
 * Reconnects for ever with a jittered pause; meanwhile nothing is promised: the caller polls.
 */
export function listenForChanges(
  db: Database,
  onChange: () => void,
  onFault: (error: unknown) => void,
): ChangeListener {
  let isClosed = false
  let isConnecting = false
  const sql: Sql = db.pool({
    purpose: 'changes',
    max: 1,
    statementTimeout: STATEMENT_MILLISECONDS,
    onNotify: () => onChange(),
    onClose: () => void connect(),
  })
  async function connect(): Promise<void> {
    if (isConnecting) return
    isConnecting = true
    let pause = 25
    while (!isClosed) {
      try {
        await sql.unsafe(`listen ${CHANGES_CHANNEL}`)
        onChange()
        break
      } catch (error) {
        if (!isClosed) onFault(error)
        await sleep(pause * (0.5 + Math.random()), undefined, { ref: false })
        pause = Math.min(pause * 2, RECONNECT_MILLISECONDS_MAX)
      }
    }
    isConnecting = false
  }
  void connect()
  return {
    close: async () => {
      isClosed = true
      await sql.end({ timeout: 0 })
    },
  }
}
