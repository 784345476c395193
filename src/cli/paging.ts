import type { Page } from '#admin/ports.ts'

const PAGE_LIMIT = 500

/** All rows of a list that pages: asks for the next page with the key of the last row until one is short. */
export async function* allPages<Row>(
  read: (page: Page) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): AsyncGenerator<readonly Row[]> {
  let after: string | undefined
  for (;;) {
    const page: Page = after === undefined ? { limit: PAGE_LIMIT } : { limit: PAGE_LIMIT, after }
    const rows = await read(page)
    yield rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_LIMIT) return
    after = keyOf(last)
  }
}
