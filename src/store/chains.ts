import type { LogRow, ReadChains, Removal } from '#decision-log/port.ts'
import type { Database } from './database.ts'
import { selectLogRows } from './decisions.ts'

const REMOVAL_BATCH = 20

/** Reads chains as the runtime role. */
export function createReadChains(db: Database): ReadChains {
  const { sql } = db
  return {
    async writers(tenant) {
      const rows = await (tenant === undefined
        ? sql<{ writer: string }[]>`
            with recursive found as (
              (select writer from decisions order by writer limit 1)
              union all
              select (select d.writer from decisions d where d.writer > f.writer order by d.writer limit 1)
              from found f where f.writer is not null)
            select writer from found where writer is not null
            union select writer from writers union select writer from chain_heads
            union select writer from removals order by writer`
        : sql<{ writer: string }[]>`
            select distinct writer from decisions where tenant = ${tenant} order by writer`)
      return rows.map(({ writer }) => writer)
    },
    rows: async (writer, after, limit) => await rowsAfter(db, writer, after, limit),
    async head(writer) {
      const [row] = await sql<{ sequence: string; hash: string }[]>`
        select sequence::text, hash from chain_heads where writer = ${writer}`
      return row === undefined ? undefined : { sequence: Number(row.sequence), hash: row.hash }
    },
    async estimate() {
      const [row] = await sql<
        { rows: string }[]
      >`select coalesce(sum(sequence), 0)::text as rows from chain_heads`
      return Number(row?.rows ?? 0)
    },
    async *removals(writer) {
      const cursor = sql<(Omit<Removal, 'id' | 'rows'> & { readonly id: string; readonly rows: string })[]>`
        select id::text, writer, rows::text, runs::text, previous_hash as "previousHash", hash from removals
        where ${writer === undefined ? sql`true` : sql`writer = ${writer}`} order by removals.id`.cursor(
        REMOVAL_BATCH,
      )
      for await (const rows of cursor) {
        yield rows.map((row) => ({ ...row, id: Number(row.id), rows: Number(row.rows) }))
      }
    },
  }
}

/** INVARIANT: all rows of the last place are given, even beyond `limit`; two of them are what a check looks for. */
async function rowsAfter(
  { sql }: Database,
  writer: string,
  after: number,
  limit: number,
): Promise<readonly LogRow[]> {
  const order = sql`order by decisions.sequence, decisions.decided_at, decisions.decision_id`
  const condition = sql`writer = ${writer} and decisions.sequence > ${after}`
  const rows = await selectLogRows(sql, sql`${condition} ${order} limit ${limit}`)
  const last = rows.at(-1)
  if (last === undefined || rows.length < limit) return rows
  const same = rows.filter((row) => row.sequence === last.sequence).length
  return [
    ...rows.slice(0, rows.length - same),
    ...(await selectLogRows(sql, sql`writer = ${writer} and decisions.sequence = ${last.sequence} ${order}`)),
  ]
}
