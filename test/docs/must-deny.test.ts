import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const PAGE = 'docs/gateways/README.md'
const RECORDS = 'test/golden/must-deny'
const BEGIN = '<!-- begin: results -->\n'
const END = '<!-- end: results -->\n'

interface Record {
  readonly gateway: string
  readonly outcomes: { readonly [bypass: string]: string }
}

// `npm run test:gateways -- -u` records what the real gateways answered, `vitest run test/docs/must-deny.test.ts -u` writes
// the table.
test('the table of docs/gateways/README.md is what the real gateways answered', async () => {
  const records = readdirSync(RECORDS)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => JSON.parse(readFileSync(`${RECORDS}/${name}`, 'utf8')) as Record)
  const rows = [...new Set(records.flatMap(({ outcomes }) => Object.keys(outcomes)))]
  const lines = [
    `| | ${records.map(({ gateway }) => gateway).join(' | ')} |`,
    `| --- |${' --- |'.repeat(records.length)}`,
    ...rows.map(
      (row) => `| ${escaped(row)} | ${records.map(({ outcomes }) => outcomes[row] ?? '').join(' | ')} |`,
    ),
  ]
  const page = readFileSync(PAGE, 'utf8')
  const [before, after] = [page.split(BEGIN)[0] ?? '', page.split(END)[1] ?? '']
  await expect(`${before}${BEGIN}${lines.join('\n')}\n${END}${after}`).toMatchFileSnapshot(`../../${PAGE}`)
})

test('no recorded outcome is a pass', () => {
  for (const name of readdirSync(RECORDS)) {
    const { outcomes } = JSON.parse(readFileSync(`${RECORDS}/${name}`, 'utf8')) as Record
    const passed = Object.entries(outcomes).filter(
      ([row, outcome]) => outcome.startsWith('2') && !row.startsWith('forged '),
    )
    expect(passed).toEqual([])
  }
})

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|')
}
