import { setTimeout as sleep } from 'node:timers/promises'
import type { NewestToken } from '#identity/families.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { Database } from './database.ts'
import { withDeadline } from './faults.ts'
import { WaitingFamilies } from './waiting-families.ts'

/** The newest tokens that all servers on one database have seen. */
export interface FamilyStore {
  /** Writes what was seen here, soon and again until it is written, for the other servers. */
  remember(newest: NewestToken): void
  /** Reads what other servers have written since; called when the database was changed. */
  ask(): void
  /** Gives up what is not written yet. */
  close(): Promise<void>
}

/** What following the database takes. */
export interface FamilyStoreParts {
  /** Whether any issuer rotates; as long as none does, the database is not asked. */
  readonly isUsed: () => boolean
  readonly learn: (newest: NewestToken) => void
  /** Told of everything that went wrong; it is tried again. */
  readonly onFault: (error: unknown) => void
}

interface Row {
  readonly family: string
  readonly issued_at: string
  readonly seen_at: string
  readonly expires_at: string
  readonly changed_at: string
}

const POLL_MILLISECONDS = 500
const BATCH_MAX = 500
const ROWS_MAX = 5_000
/** What is written at most before what others have seen is read: a flood here must not hide theirs. */
const BATCHES_MAX = 20
const STATEMENT_MILLISECONDS = 2_000
const SILENCE_MILLISECONDS = 2_500
/** A row may be seen so much later than it says that it was changed: a statement was under way meanwhile. */
const OVERLAP_SECONDS = 10
const CLOSE_MILLISECONDS = 500

/**
 * Follows the families of the database on a connection of its own: when asked to, and every half second. When it is open, what
 * other servers have seen is known here.
 */
export async function openFamilyStore(db: Database, parts: FamilyStoreParts): Promise<FamilyStore> {
  const store = new Store(db, parts)
  await store.start()
  return store
}

class Store implements FamilyStore {
  readonly #db: Database
  readonly #parts: FamilyStoreParts
  #sql: Database['sql'] | undefined
  readonly #waiting: WaitingFamilies
  #since: string
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isAskedAgain = false
  #isClosed = false

  constructor(db: Database, parts: FamilyStoreParts) {
    this.#db = db
    this.#parts = parts
    this.#waiting = new WaitingFamilies()
    this.#since = '-infinity'
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => this.ask(), POLL_MILLISECONDS)
    this.#timer.unref()
    this.ask()
    await this.#running
  }

  remember(newest: NewestToken): void {
    this.#waiting.add(newest)
    this.ask()
  }

  ask(): void {
    if (this.#isClosed || (this.#waiting.isEmpty && !this.#parts.isUsed())) return
    this.#isAskedAgain = this.#running !== undefined
    this.#running ??= this.#follow().finally(() => {
      this.#running = undefined
    })
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.race([this.#running, sleep(CLOSE_MILLISECONDS, undefined, { ref: false })])
    this.#isClosed = true
    await this.#sql?.end({ timeout: 1 })
  }

  async #follow(): Promise<void> {
    do {
      this.#isAskedAgain = false
      try {
        await this.#write()
        await this.#read()
      } catch (error) {
        if (!this.#isClosed) this.#parts.onFault(error)
        return
      }
    } while ((this.#isAskedAgain || !this.#waiting.isEmpty) && !this.#isClosed)
  }

  async #write(): Promise<void> {
    for (let batches = 0; batches < BATCHES_MAX && !this.#waiting.isEmpty; batches++) {
      const batch = this.#waiting.next(BATCH_MAX)
      await this.#within(async (sql) => await sql`select remember_families(${itemsOf(batch)}::text)`)
      this.#waiting.written(batch)
    }
  }

  async #read(): Promise<void> {
    let from = { since: this.#since, overlapSeconds: OVERLAP_SECONDS, family: '' }
    for (;;) {
      const page = from
      const rows = await this.#within((sql) => nextRows(sql, page))
      for (const row of rows) this.#parts.learn(newestOf(row))
      const last = rows.at(-1)
      if (last !== undefined) this.#since = last.changed_at
      if (last === undefined || rows.length < ROWS_MAX) return
      from = { since: this.#since, overlapSeconds: 0, family: last.family }
    }
  }

  /** When no answer comes in time, the connection is replaced. */
  async #within<T>(work: (sql: Database['sql']) => Promise<T>): Promise<T> {
    const options = { purpose: 'families', max: 1, statementTimeout: STATEMENT_MILLISECONDS }
    this.#sql ??= this.#db.pool(options)
    const used = this.#sql
    return await withDeadline(work(used), SILENCE_MILLISECONDS, 'the database is silent', () => {
      void used.end({ timeout: 0 })
      if (this.#sql === used) this.#sql = undefined
    })
  }
}

/** In one order on all servers, so that two of them never wait for each other. */
function itemsOf(batch: readonly NewestToken[]): string {
  const items = batch
    .toSorted((a, b) => (a.family < b.family ? -1 : 1))
    .map(({ family, issuedAt, seenAt, expiresAt }) => ({
      family,
      issued_at: issuedAt,
      seen_at: seenAt,
      expires_at: expiresAt,
    }))
  return JSON.stringify(items)
}

async function nextRows(
  sql: Database['sql'],
  from: { readonly since: string; readonly overlapSeconds: number; readonly family: string },
): Promise<readonly Row[]> {
  const { since, overlapSeconds, family } = from
  return await sql<Row[]>`
    select encode(family, 'hex') as family, issued_at::text, seen_at::text, expires_at::text, changed_at::text
    from token_families
    where (changed_at, family) >
      (${since}::text::timestamptz - make_interval(secs => ${overlapSeconds}::int), decode(${family}, 'hex'))
    order by token_families.changed_at, token_families.family limit ${ROWS_MAX}::int`
}

function newestOf({ family, issued_at, seen_at, expires_at }: Row): NewestToken {
  return {
    family,
    issuedAt: Number(issued_at) as EpochSeconds,
    seenAt: Number(seen_at) as EpochMilliseconds,
    expiresAt: Number(expires_at) as EpochMilliseconds,
  }
}

/** Removes at most `limit` families in which no token can be good any more; gives their number. */
export async function removeOverFamilies(
  { owner }: Database,
  now: EpochMilliseconds,
  limit: number,
): Promise<number> {
  const removed = await owner`
    delete from token_families where family in (
      select family from token_families where expires_at < ${`${now}`}::text::bigint limit ${limit}::int)`
  return removed.count
}
