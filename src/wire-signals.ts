import { signalKey } from '#admin/signal-key.ts'
import type { FaultLines } from '#fault-lines.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createSetSigner, type SetSigner } from '#identity/set-signer.ts'
import { deliverDue } from '#signals/deliver.ts'
import type { Database } from '#store/database.ts'
import { createOutbox, publishedKeys, publishKey } from '#store/outbox.ts'

/** Delivery of what others are to be told, and the keys that they check it with. */
export interface WiredSignals {
  /** The key set of this installation, at most ten seconds old. */
  keys(): Promise<object>
  close(): Promise<void>
}

const POLL_MILLISECONDS = 1_000
const KEYS_MILLISECONDS = 10_000

/** Looks every second for events that are due, whichever server they come from. The key is made when the first one is. */
export function wireSignals(
  db: Database,
  { issuer, dataDirectory }: { readonly issuer: string; readonly dataDirectory: string },
  faults: FaultLines,
): WiredSignals {
  const outbox = createOutbox(db)
  let signer: Promise<SetSigner> | undefined
  let underWay: Promise<void> | undefined
  let kept: { readonly at: number; readonly keys: Promise<object> } | undefined

  async function openSigner(): Promise<SetSigner> {
    const opened = await createSetSigner(issuer, await signalKey(dataDirectory))
    await publishKey(db, opened.kid, opened.publicKey)
    return opened
  }

  async function deliver(): Promise<void> {
    try {
      await deliverDue({
        outbox,
        send: sendOutbound,
        sign: async (claims) => {
          signer ??= openSigner()
          signer.catch(() => {
            signer = undefined
          })
          return await (await signer).sign(claims)
        },
        onFault: (about, fault) => faults.report({ message: 'a receiver could not be told', about, fault }),
      })
    } catch (error) {
      const fault = error instanceof Error ? error.message : 'unknown'
      faults.report({ message: 'events for receivers could not be read', fault })
    }
  }

  const timer = setInterval(() => {
    underWay ??= deliver().finally(() => {
      underWay = undefined
    })
  }, POLL_MILLISECONDS)
  return {
    keys: () => {
      if (kept === undefined || performance.now() - kept.at > KEYS_MILLISECONDS)
        kept = { at: performance.now(), keys: publishedKeys(db) }
      return kept.keys
    },
    close: async () => {
      clearInterval(timer)
      await underWay
    },
  }
}
