import type { Config } from '#config.ts'
import type { Metrics } from '#http/metrics.ts'
import { systemClock } from '#lib/clock.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { listenForChanges } from '#store/change-listener.ts'
import type { Database } from '#store/database.ts'
import type { FeedWatch } from '#store/feed-watch.ts'
import { openStateFeed, type StateFeed } from '#store/state-feed.ts'
import { openStateSeen } from '#store/state-seen.ts'
import type { Share } from './listeners.ts'

/** What stands around the view of the database. */
export interface StateSurroundings {
  readonly db: Database
  readonly metrics: Metrics
  readonly faults: FaultLines
  readonly events: FeedWatch
  readonly share: Share
  /** Told of each notification before anything is loaded here. */
  readonly onChange: () => void
}

/** Opens the live view of the database. A front is told of changes by its keeper, everybody else listens. */
export async function wireState(
  config: Config,
  { db, metrics, faults, events, share, onChange }: StateSurroundings,
  opened: (() => Promise<void>)[],
): Promise<StateFeed> {
  const seen = await openStateSeen(config.dataDirectory, (error) =>
    faults.report({ message: 'the state version could not be remembered', fault: faultText(error) }),
  )
  opened.push(() => seen.close())
  const onFault = (error: unknown): void => {
    metrics.stateFault()
    faults.report({ message: 'the state could not be refreshed', fault: faultText(error) })
  }
  const listen = (ask: () => void) => {
    const tell = (): void => {
      onChange()
      ask()
    }
    const told = share.role === 'front' ? share.listen?.(tell) : undefined
    return told ?? listenForChanges(db, tell, onFault)
  }
  const feed = await openStateFeed(db, {
    seen,
    assembleRelease,
    applyEntities,
    emptyRegistry,
    clock: systemClock,
    pollMilliseconds: config.pollMilliseconds,
    watch: events,
    listen,
    onFault,
  })
  opened.push(() => feed.close())
  return feed
}
