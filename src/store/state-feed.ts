import type { Clock, EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { RolledBack, State, TenantState } from '#model/state.ts'
import { type ChangeListener, listenForChanges } from './change-listener.ts'
import type { Database } from './database.ts'
import { codeOf, withDeadline } from './faults.ts'
import type { FeedWatch } from './feed-watch.ts'
import { type Position, readPosition } from './position.ts'
import { readRevocations } from './revocation-lists.ts'
import type { StateSeen } from './state-seen.ts'
import { type Assembly, type LoadedTenant, loadTenant } from './tenant-loader.ts'
import { TenantViews } from './tenant-views.ts'

/** What the feed needs beside the database. */
export interface FeedParts extends Assembly {
  readonly clock: Clock
  /** How often the database is asked, notified or not. Default of the configuration: 500. */
  readonly pollMilliseconds: number
  /** What this installation has seen, also before it was restarted. */
  readonly seen: StateSeen
  /** Told of everything that went wrong; the feed goes on. */
  readonly onFault: (error: unknown) => void
  /** Calls when something may have changed. Default: a connection of its own that listens. */
  readonly listen?: ((onChange: () => void) => ChangeListener) | undefined
  /** Told what changed, for those who keep answers. */
  readonly watch?: FeedWatch
}

/** The live view of the database, and its end. */
export interface StateFeed {
  readonly state: State
  /** Every tenant that is served, in no order. */
  tenants(): Iterable<TenantState>
  /** How many tenants keep an older release because the active one is broken, and how many can't be loaded at all. */
  troubled(): { readonly broken: number; readonly failing: number }
  close(): Promise<void>
}

const STATEMENT_MILLISECONDS = 10_000
const LOADING_AT_ONCE = 4
/** After this the connection is given up: a server that vanished without a word would stop the feed for ever. */
const SILENCE_MILLISECONDS = 15_000
/** Loading one tenant, however large. */
const LOAD_MILLISECONDS = 120_000
/** For so long a tenant that can't be loaded keeps its old state; then it has none and is denied. */
const FAILING_MILLISECONDS_MAX = 5_000
/** A release that can't be assembled is tried again this often. */
const RETRY_BROKEN_MILLISECONDS = 5_000

/**
 * Loads everything, then follows the database by LISTEN and by polling.
 *
 * A tenant's state is built completely beside the old one and then replaced as a whole. `refreshedAt` is the time before
 * the question whose answer said that nothing newer exists; it stands still while the database can't be asked, and when
 * it answers with an older version than was ever seen (a restored backup): what was revoked must not come back. Then
 * `rolledBack` says so until an operator acknowledges it, and everything is read anew.
 *
 * @throws when the first load fails.
 */
export async function openStateFeed(db: Database, parts: FeedParts): Promise<StateFeed> {
  const feed = new Feed(db, parts)
  try {
    await feed.refresh()
  } catch (error) {
    await feed.close()
    throw error
  }
  feed.follow()
  return {
    state: feed,
    tenants: () => feed.tenants(),
    troubled: () => feed.troubled(),
    close: () => feed.close(),
  }
}

class Feed implements State {
  #refreshedAt = 0 as EpochMilliseconds
  /** The same instant on the clock that nobody sets. */
  #confirmedAt = Number.NEGATIVE_INFINITY
  #position: Position | undefined
  #rolledBack: RolledBack | undefined
  #acknowledgement: string | undefined
  readonly #tenants = new TenantViews()
  /** Tenants whose active release is broken, and when it was last tried. */
  readonly #broken = new Map<TenantId, number>()
  /** Tenants that could not be loaded at all, and since when. */
  readonly #failing = new Map<TenantId, number>()
  readonly #db: Database
  readonly #parts: FeedParts
  #sql
  #listener: { close(): Promise<void> } | undefined
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isAskedAgain: boolean
  #isClosed: boolean

  constructor(db: Database, parts: FeedParts) {
    this.#db = db
    this.#parts = parts
    this.#sql = this.#open()
    this.#isAskedAgain = false
    this.#isClosed = false
  }

  #open() {
    return this.#db.pool({
      purpose: 'state feed',
      max: LOADING_AT_ONCE,
      statementTimeout: STATEMENT_MILLISECONDS,
    })
  }

  get refreshedAt(): EpochMilliseconds {
    return this.#refreshedAt
  }

  ageMilliseconds(): number {
    return Math.max(performance.now() - this.#confirmedAt, this.#parts.clock() - this.#refreshedAt)
  }

  rolledBack(): RolledBack | undefined {
    return this.#rolledBack
  }

  tenant(id: TenantId): TenantState | undefined {
    return this.#tenants.view(id)
  }

  tenants(): Iterable<TenantState> {
    return this.#tenants.views()
  }

  troubled(): { readonly broken: number; readonly failing: number } {
    return { broken: this.#broken.size, failing: this.#failing.size }
  }

  gatewayByKeyHash(hash: string) {
    return this.#tenants.gatewayByKeyHash(hash, this.#parts.clock())
  }

  /** Listens and polls until closed. */
  follow(): void {
    const listen =
      this.#parts.listen ?? ((onChange) => listenForChanges(this.#db, onChange, this.#parts.onFault))
    this.#listener = listen(() => this.#ask())
    this.#timer = setInterval(() => this.#ask(), this.#parts.pollMilliseconds)
  }

  /** One refresh at a time; a question during one is answered by another right after it. */
  #ask(): void {
    if (this.#isClosed) return
    if (this.#running !== undefined) {
      this.#isAskedAgain = true
      return
    }
    this.#running = this.#refreshWhileAsked().finally(() => {
      this.#running = undefined
    })
  }

  async #refreshWhileAsked(): Promise<void> {
    do {
      this.#isAskedAgain = false
      try {
        await this.refresh()
      } catch (error) {
        if (!this.#isClosed) this.#parts.onFault(error)
      }
    } while (this.#isAskedAgain)
  }

  /** Brings every tenant to the version that the database has now. */
  async refresh(): Promise<void> {
    const askedAt = this.#parts.clock()
    const startedAt = performance.now()
    const position = await this.#within(readPosition(this.#sql))
    await this.#compare(position)
    const before = this.#position
    if (position.version !== before?.version) await this.#loadChanged(before?.version, position.version)
    await this.#retryTroubled()
    this.#position = position
    this.#refreshedAt = askedAt
    this.#confirmedAt = startedAt
  }

  /** @throws when what the database says now must not replace what is known */
  async #compare(position: Position): Promise<void> {
    const before = this.#position
    if (before !== undefined && position.database !== before.database) {
      throw new Error('this is another database than before: restart to accept it')
    }
    const { rolledBack, acknowledgement } = await this.#parts.seen.compare(position)
    this.#rolledBack = rolledBack
    if (rolledBack !== undefined) {
      const error = new Error(
        `the database went back from state version ${rolledBack.seen} to ${rolledBack.found}; ` +
          'it may lack revocations: accept it with `warder state acknowledge`',
      )
      // A server that starts needs a state to answer from, even if every answer is no.
      if (before !== undefined) throw error
      this.#parts.onFault(error)
    } else if (acknowledgement !== this.#acknowledgement) this.#position = undefined
    this.#acknowledgement = acknowledgement
  }

  /**
   * Without `since` everything. INVARIANT: what is revoked acts before anything else is loaded, and what is lifted only
   * afterwards, so that whatever was put in its place is there when it goes.
   */
  async #loadChanged(since: number | undefined, until: number): Promise<void> {
    const rows = await this.#within(readRevocations(this.#sql, since), LOAD_MILLISECONDS)
    const now = this.#parts.clock()
    const revoked = rows.filter(({ isInForce }) => isInForce)
    this.#tenants.applyRevocations(revoked, now)
    if (since !== undefined && revoked.length > 0) this.#parts.watch?.revoked(revoked)
    const changed = await this.#loadTenants(since)
    const isEverywhere = this.#tenants.settleRevocations(rows, since === undefined, until, now)
    this.#parts.watch?.settled(isEverywhere ? undefined : changed, until, since === undefined)
  }

  async #loadTenants(since: number | undefined): Promise<readonly TenantId[]> {
    const changed = await this.#within(
      this.#sql<{ tenant: TenantId }[]>`
        select tenant from tenants where state_version > ${since ?? -1} order by state_version`.then(
        (rows) => rows,
      ),
    )
    if (since === undefined) this.#tenants.forgetAllBut(new Set(changed.map(({ tenant }) => tenant)))
    // A few at once, so that one large import does not hold up what another tenant revoked.
    const waiting = changed.values()
    const lanes = Array.from({ length: LOADING_AT_ONCE }, async () => {
      for (const { tenant } of waiting) await this.#load(tenant)
    })
    const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return changed.map(({ tenant }) => tenant)
  }

  async #retryTroubled(): Promise<void> {
    for (const tenant of this.#failing.keys()) await this.#load(tenant)
    const now = this.#parts.clock()
    for (const [tenant, triedAt] of this.#broken) {
      if (now - triedAt >= RETRY_BROKEN_MILLISECONDS) await this.#load(tenant)
    }
  }

  async #load(tenant: TenantId): Promise<void> {
    const before = this.#tenants.loaded(tenant)
    try {
      const loading = loadTenant(this.#sql, tenant, before, this.#parts)
      const loaded = await this.#within(loading, LOAD_MILLISECONDS)
      if (loaded === undefined || this.#isClosed) return
      this.#failing.delete(tenant)
      this.#replace(loaded)
    } catch (error) {
      if (this.#isClosed || codeOf(error) !== undefined) throw error
      // Not the database's fault, so the other tenants' states must not grow stale over it.
      this.#suspend(tenant, error)
    }
  }

  #replace(loaded: LoadedTenant): void {
    this.#tenants.replace(loaded)
    if (loaded.broken === undefined) {
      this.#broken.delete(loaded.id)
      return
    }
    this.#broken.set(loaded.id, this.#parts.clock())
    const message = `release \`${loaded.broken.id}\` of tenant \`${loaded.id}\` can't be loaded; the one before stays active`
    this.#parts.onFault(new Error(message, { cause: loaded.broken.cause }))
  }

  #suspend(tenant: TenantId, cause: unknown): void {
    const now = this.#parts.clock()
    const since = this.#failing.get(tenant) ?? now
    this.#failing.set(tenant, since)
    this.#parts.onFault(new Error(`tenant \`${tenant}\` can't be loaded`, { cause }))
    if (now - since < FAILING_MILLISECONDS_MAX) return
    this.#tenants.forget(tenant)
  }

  /** When no answer comes in time, the connection is replaced. */
  async #within<T>(question: Promise<T>, milliseconds = SILENCE_MILLISECONDS): Promise<T> {
    const used = this.#sql
    return await withDeadline(question, milliseconds, 'the database is silent', () => {
      this.#sql = this.#open()
      void used.end({ timeout: 0 })
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#listener?.close()
    await this.#sql.end({ timeout: 1 })
    await this.#running
  }
}
