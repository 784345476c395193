import { isRetry, type ReplayStore, type Reservation, type Reserved } from '#identity/proof/replay.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Database } from './database.ts'
import { withDeadline } from './faults.ts'

/** The replay store of all servers on one database, and the secret of nonces that they share. */
export interface ProofStore extends ReplayStore {
  /** 32 bytes; another one after the database lost its used proofs. */
  readonly nonceSecret: () => Uint8Array
  /** Removes proofs that can't be used again anyway; gives their number. Happens by itself every minute as well. */
  prune(now: EpochMilliseconds): Promise<number>
  /** Stops that. */
  close(): void
}

interface Waiting {
  readonly reservation: Reservation
  readonly resolve: (reserved: Reserved) => void
  readonly reject: (error: unknown) => void
}

interface Row {
  readonly key: string
  readonly fresh: boolean
  readonly question: string | null
  readonly reserved_at: string | null
  readonly opened_at: string
  readonly secret: Uint8Array
}

const CONNECTIONS = 2
const BATCH_MAX = 500
const STATEMENT_MILLISECONDS = 2_000
/** After this the connection is given up; the client's proof would be too old soon. */
const SILENCE_MILLISECONDS = 2_500
const PRUNE_ROWS = 50_000
const PRUNE_EVERY_MILLISECONDS = 60_000
/** Clocks of servers differ a little, and a proof may be that much ahead of them. */
const EPOCH_MARGIN_MILLISECONDS = 10_000

/**
 * Opens the store on connections of its own. Proofs that are asked about in one turn of the loop, or while both connections
 * are busy, share a statement.
 *
 * INVARIANT: after a crash of the database, which empties it, proofs from before are `stale`.
 */
export async function openProofStore(
  db: Database,
  now: EpochMilliseconds,
  onFault: (error: unknown) => void = () => undefined,
): Promise<ProofStore> {
  const open = () =>
    db.pool({ purpose: 'proofs', max: CONNECTIONS, statementTimeout: STATEMENT_MILLISECONDS })
  let sql = open()
  let secret: Uint8Array = new Uint8Array()
  let waiting: Waiting[] = []
  let busy = 0
  let isPlanned = false

  const ask = async (batch: readonly Waiting[], at: number): Promise<readonly Row[]> => {
    const used = sql
    const items = batch
      .map(({ reservation: { key, question, expiresAt } }) => ({ key, question, expires_at: expiresAt }))
      // In one order on all servers, so that two of them never wait for each other.
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    const rows = used<Row[]>`
      select key, fresh, question, reserved_at::text, opened_at::text, secret
      from reserve_proofs(${JSON.stringify(items)}, ${`${at}`}::text::bigint)`
    return await withDeadline(rows, SILENCE_MILLISECONDS, 'the database is silent', () => {
      void used.end({ timeout: 0 })
      if (sql === used) sql = open()
    })
  }
  const flush = async (): Promise<void> => {
    isPlanned = false
    if (busy >= CONNECTIONS || waiting.length === 0) return
    const { batch, rest } = nextBatch(waiting)
    waiting = rest
    busy += 1
    try {
      const rows = await ask(batch, batch[0]?.reservation.now ?? 0)
      const found = rows[0]?.secret
      // The same object as long as it is the same secret: others keep keys that they derived from it.
      if (found !== undefined && !Buffer.from(secret).equals(found)) secret = found
      answer(batch, new Map(rows.map((row) => [row.key, row])))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      busy -= 1
      plan()
    }
  }
  const plan = (): void => {
    if (isPlanned || waiting.length === 0) return
    isPlanned = true
    setImmediate(() => void flush())
  }

  const store: ProofStore = {
    reserve: (reservation) =>
      new Promise((resolve, reject) => {
        waiting.push({ reservation, resolve, reject })
        plan()
      }),
    nonceSecret: () => secret,
    async prune(instant) {
      const done = await db.owner`
        delete from warder.proofs where key in (
          select key from warder.proofs where expires_at < ${`${instant}`}::text::bigint limit ${PRUNE_ROWS}::int)`
      return done.count
    },
    close: () => clearInterval(timer),
  }
  const timer = setInterval(() => {
    store.prune(Date.now() as EpochMilliseconds).catch(onFault)
  }, PRUNE_EVERY_MILLISECONDS)
  timer.unref()
  // A reservation that nobody makes: it gives the secret, and begins an epoch where a crash ended the one before.
  await store.reserve({
    key: '00',
    question: undefined,
    issuedAt: 0 as Reservation['issuedAt'],
    expiresAt: now,
    now,
  })
  return store
}

/** INVARIANT: a key occurs once in a statement; the second asks in the next one and finds the first. */
function nextBatch(waiting: readonly Waiting[]): { readonly batch: Waiting[]; readonly rest: Waiting[] } {
  const [batch, rest, keys]: [Waiting[], Waiting[], Set<string>] = [[], [], new Set()]
  for (const each of waiting) {
    const { key } = each.reservation
    if (batch.length >= BATCH_MAX || keys.has(key)) rest.push(each)
    else {
      keys.add(key)
      batch.push(each)
    }
  }
  return { batch, rest }
}

function answer(batch: readonly Waiting[], rows: ReadonlyMap<string, Row>): void {
  for (const { reservation, resolve, reject } of batch) {
    const row = rows.get(reservation.key)
    if (row === undefined) reject(new Error('the replay store left a proof unanswered'))
    else resolve(judge(row, reservation))
  }
}

function judge({ fresh, question, reserved_at, opened_at }: Row, reservation: Reservation): Reserved {
  if (!fresh) {
    // Taken by a statement that ran at the same time: then it is not to be seen yet.
    if (reserved_at === null) return 'replayed'
    const before = { question: question ?? undefined, at: Number(reserved_at) }
    return isRetry(before, reservation.question, reservation.now) ? 'retry' : 'replayed'
  }
  const opened = Number(opened_at)
  return opened > 0 && reservation.issuedAt * 1000 <= opened + EPOCH_MARGIN_MILLISECONDS ? 'stale' : 'first'
}
