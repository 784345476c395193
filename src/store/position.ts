import type { Sql } from './connections.ts'

/** How far the administration of one database has come. */
export interface Position {
  /** Made with the database; a copy of it has the same. */
  readonly database: string
  readonly version: number
}

/** The position of the database now. */
export async function readPosition(sql: Sql): Promise<Position> {
  const [row] = await sql<{ database: string; version: string }[]>`
    select database::text, version::text from state where id = 1`
  if (row === undefined) throw new Error('the database has no state row')
  return { database: row.database, version: Number(row.version) }
}
