/** A column: its heading and the text of its cell. */
export interface Column<Row> {
  readonly heading: string
  readonly cell: (row: Row) => string
}

/** Aligned lines without a frame; headings in upper case, the last column not padded. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): readonly string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))))
  const all = [columns.map((column) => column.heading.toUpperCase()), ...cells]
  const widths = columns.map((_, i) => Math.max(...all.map((line) => (line[i] ?? '').length)))
  return all.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/**
 * `text` with control and direction-changing characters made visible: names come from callers, and one that holds a
 * terminal sequence must not be able to rewrite what an operator sees.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

/** An RFC 3339 time as `2026-11-21 23:59:59Z`; anything else as it is. */
export function utcTime(text: string | null): string {
  if (text === null) return '-'
  const instant = new Date(text)
  return Number.isNaN(instant.getTime()) ? text : `${instant.toISOString().slice(0, 19).replace('T', ' ')}Z`
}
