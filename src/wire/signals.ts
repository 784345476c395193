import type { OpenSealing } from '#admin/sealing.ts'
import { signalKey } from '#admin/signal-key.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createSetSigner, type SetSigner, type SignSet } from '#identity/set-signer.ts'
import type { TenantId } from '#model/ids.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { deliverDue, type QueueFigures, type UnderWay } from '#signals/deliver.ts'
import { tenantIssuer } from '#signals/transmit.ts'
import { createTransmitter, type Transmitter } from '#signals/transmitter.ts'
import type { Database } from '#store/database.ts'
import { createOutbox, publishedKeys, publishKey, queueFigures } from '#store/outbox.ts'
import { createOutgoingStreams, openPushAuthorization } from '#store/outgoing.ts'

/** Delivery of what others are to be told, and the keys that they check it with. */
export interface WiredSignals {
  /** The key set of this installation, at most ten seconds old. */
  keys(): Promise<object>
  /** What receivers fetch and manage. */
  readonly transmitter: Transmitter
  /** What waits for receivers, at most ten seconds old. */
  figures(): QueueFigures
  close(): Promise<void>
}

const POLL_MILLISECONDS = 1_000
const KEPT_MILLISECONDS = 10_000
/** Deliveries that wait for slow receivers, each for a few of them. */
const ROUNDS_MAX = 256

/** Looks every second for events that are due, whichever server they come from. The key is made when the first one is. */
export function wireSignals(
  db: Database,
  settings: { readonly publicUrl: string; readonly dataDirectory: string; readonly sealing: OpenSealing },
  faults: FaultLines,
): WiredSignals {
  const { publicUrl, dataDirectory, sealing } = settings
  const outbox = createOutbox(db)
  let signer: Promise<SetSigner> | undefined
  const closing = new AbortController()
  const receivers: UnderWay = new Map()
  const underWay = new Set<Promise<unknown>>()
  let kept: { readonly at: number; readonly keys: Promise<object> } | undefined
  let figures: QueueFigures = { waiting: 0, dropped: 0 }
  let figuresAt = Number.NEGATIVE_INFINITY

  async function openSigner(): Promise<SetSigner> {
    const opened = await createSetSigner(publicUrl, await signalKey(dataDirectory))
    await publishKey(db, opened.kid, opened.publicKey)
    return opened
  }

  const sign: SignSet = async (claims) => {
    signer ??= openSigner()
    signer.catch(() => {
      signer = undefined
    })
    return await (await signer).sign(claims)
  }

  const parts = {
    outbox,
    send: sendOutbound,
    sign,
    issuerOf: (tenant: TenantId) => tenantIssuer(publicUrl, tenant),
    openAuthorization: openPushAuthorization(sealing),
    onFault: (about: string, fault: string) =>
      faults.report({ message: 'a receiver could not be told', about, fault }),
  }

  async function deliver(): Promise<void> {
    try {
      await deliverDue(parts, receivers, closing.signal)
    } catch (error) {
      const fault = error instanceof Error ? error.message : 'unknown'
      faults.report({ message: 'events for receivers could not be read', fault })
    }
  }

  async function count(): Promise<void> {
    try {
      if (performance.now() - figuresAt > KEPT_MILLISECONDS) {
        figures = await queueFigures(db)
        figuresAt = performance.now()
      }
    } catch (error) {
      const fault = error instanceof Error ? error.message : 'unknown'
      faults.report({ message: 'events for receivers could not be read', fault })
    }
  }

  const timer = setInterval(() => {
    if (underWay.size >= ROUNDS_MAX) return
    const round: Promise<unknown> = Promise.all([deliver(), count()]).finally(() => underWay.delete(round))
    underWay.add(round)
  }, POLL_MILLISECONDS)
  return {
    keys: () => {
      if (kept === undefined || performance.now() - kept.at > KEPT_MILLISECONDS)
        kept = { at: performance.now(), keys: publishedKeys(db) }
      return kept.keys
    },
    transmitter: createTransmitter({ publicUrl, store: createOutgoingStreams(db, sealing), sign }),
    figures: () => figures,
    close: async () => {
      clearInterval(timer)
      closing.abort()
      await Promise.all(underWay)
    },
  }
}
