import { createTokenFamilies, type ReusedSession, type TokenFamilies } from '#identity/families.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'
import type { Database } from '#store/database.ts'
import type { StateFeed } from '#store/state-feed.ts'
import { openFamilyStore } from '#store/token-families.ts'

/** Token families that all servers on one database share. */
export interface SharedFamilies extends TokenFamilies {
  /** Called when the database was changed. */
  ask(): void
}

/** What sharing takes. */
export interface FamilySurroundings {
  readonly db: Database
  readonly faults: FaultLines
  /** Told when an older token of a rotated family is used again. */
  readonly reused: (session: ReusedSession) => void
}

/** Opens them: this server's are in memory, and what it sees goes to the others by the database. */
export async function wireFamilies(
  { tenants }: Pick<StateFeed, 'tenants'>,
  { db, faults, reused }: FamilySurroundings,
  opened: (() => Promise<void>)[],
): Promise<SharedFamilies> {
  const families = createTokenFamilies({
    onReuse: reused,
    onNewest: (newest) => store.remember(newest),
  })
  const store = await openFamilyStore(db, {
    isUsed: () => [...tenants()].some(({ issuers }) => issuers.some(({ rotation }) => rotation === true)),
    learn: (newest) => families.learn(newest),
    onFault: (error) =>
      faults.report({ message: 'token families could not be shared', fault: faultText(error) }),
  })
  opened.push(() => store.close())
  return { ...families, ask: () => store.ask() }
}
