import { randomUUID } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogRow } from '#decision-log/port.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { registerWriter } from '#store/decisions.ts'
import { appendRowsTo } from '../support/append-rows.ts'
import { logRow } from '../support/store-samples.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
const writer = randomUUID()
let beside: Database
let append: (rows: readonly LogRow[]) => Promise<void>
let sequence = 0

beforeAll(async () => {
  beside = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  await registerWriter(beside, writer, 'test')
  append = appendRowsTo(beside)
  await append(Array.from({ length: 1300 }, () => row('acme')))
  await append([row('globex', { decision: 'deny', reason: 'policy.forbid', agent: 'bad\u001b[31mbot' })])
})

afterAll(async () => {
  await beside.close()
  folder.remove()
})

function row(tenant: string, changed: Partial<LogRow> = {}): LogRow {
  sequence += 1
  return logRow(tenant, writer, sequence, changed)
}

async function query(...flags: string[]): Promise<readonly LogRow[]> {
  const ran = await run(['logs', 'query', ...flags, '--json'])
  expect(ran).toMatchObject({ exit: 0, stderr: '' })
  return JSON.parse(ran.stdout)
}

test('a limit beyond one page is answered whole, newest first', async () => {
  const rows = await query('--limit', '5000')
  expect(rows).toHaveLength(1301)
  expect(rows.map((each) => each.sequence)).toEqual(rows.map((_, i) => 1301 - i))
  expect(await query('--limit', '777')).toHaveLength(777)
  expect(await query()).toHaveLength(100)
})

test('filters narrow by tenant, decision, reason, party, tool and time', async () => {
  expect(await query('--tenant', 'globex')).toHaveLength(1)
  expect(await query('--tenant', 'nobody')).toEqual([])
  expect(await query('--decision', 'deny', '--reason', 'policy.forbid')).toHaveLength(1)
  expect(
    await query('--agent', 'planner', '--user', 'ada', '--tool', 'mail/send', '--limit', '9999'),
  ).toHaveLength(1300)
  const [newest] = await query('--limit', '1')
  expect(await query('--since', newest?.decided_at ?? '')).toHaveLength(1)
  expect(await query('--until', '2020-01-01')).toEqual([])
})

test('one decision is shown with every field, an unknown one is refused', async () => {
  const [newest] = await query('--limit', '1')
  const shown = await run(['logs', 'show', newest?.decision_id ?? '', '--json'])
  expect(JSON.parse(shown.stdout)).toEqual(newest)
  for (const id of [randomUUID(), 'not-an-id']) {
    const unknown = await run(['logs', 'show', id, '--json'])
    expect(unknown).toMatchObject({ exit: 3, stdout: '' })
    expect(JSON.parse(unknown.stderr).error.code).toBe('decision.unknown')
  }
})

test('a name from a caller can not send terminal sequences to an operator', async () => {
  const [bad] = await query('--tenant', 'globex')
  for (const args of [
    ['query', '--tenant', 'globex'],
    ['show', bad?.decision_id ?? ''],
    ['tail', '--no-follow'],
  ]) {
    const ran = await run(['logs', ...args])
    expect(ran.stdout).toContain('bad\\u{1b}[31mbot')
    expect(ran.stdout).not.toContain('\u001b')
  }
})

test('tail begins with the last rows and then prints each new one once, oldest first', async () => {
  const abort = new AbortController()
  const expected: string[] = (await query('--tenant', 'acme', '--limit', '2'))
    .map((each) => each.decision_id)
    .toReversed()
  let begun: () => void = () => undefined
  const started = new Promise<void>((resolve) => {
    begun = resolve
  })
  let lines = 0
  const tailed = run(['logs', 'tail', '--tenant', 'acme', '--limit', '2', '--json'], {
    signal: abort.signal,
    onOutput: (text) => {
      begun()
      lines += text.trimEnd().split('\n').length
      if (lines >= 6) abort.abort()
    },
  })
  await started
  for (let batch = 0; batch < 2; batch += 1) {
    const rows = [row('acme'), row('globex'), row('acme')]
    await append(rows)
    expected.push(...rows.filter(({ tenant }) => tenant === 'acme').map((each) => each.decision_id))
  }
  const { exit, stdout } = await tailed
  expect(exit).toBe(0)
  const printed = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).decision_id)
  expect(printed).toEqual(expected)
})

test('tail with a limit of 0 prints only what is new', async () => {
  const ran = await run(['logs', 'tail', '--limit', '0', '--no-follow', '--json'])
  expect(ran).toEqual({ exit: 0, stdout: '', stderr: '' })
})

test('an export holds every row that the filters keep, as NDJSON and as CSV, in a file that nobody had', async () => {
  const lines = await run(['logs', 'export', '--tenant', 'acme', '--text', 'planner'])
  const rows = await query('--tenant', 'acme', '--limit', '9999')
  const all = await run(['logs', 'export', '--tenant', 'acme', '--until', '2030-01-01'])
  expect(lines).toMatchObject({ exit: 0, stderr: '' })
  expect(
    all.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(rows)

  const file = join(folder.path, 'out.csv')
  const flags = [
    'logs',
    'export',
    '--tenant',
    'acme',
    '--format',
    'csv',
    '--until',
    '2030-01-01',
    '--output',
    file,
    '--json',
  ]
  await append([
    row('acme', { agent: '=HYPERLINK("http://evil")', user: '@sum,a', tool: 'a"b', resource: '-1' }),
  ])
  const csv = await run(flags)
  expect(JSON.parse(csv.stdout)).toEqual({ file, rows: rows.length + 1 })
  const text = readFileSync(file, 'utf8')
  expect(text.split('\r\n')).toHaveLength(rows.length + 3)
  expect(text).toContain(`,"'=HYPERLINK(""http://evil"")","'@sum,a",,"a""b",,'-1,`)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const again = await run(flags)
  expect(again.exit).toBe(3)
  expect(JSON.parse(again.stderr).error.code).toBe('file.unwritable')
})

test('verify names the first break of a chain and ends with 1; maintain says what it did', async () => {
  const broken = await run(['logs', 'verify', '--writer', writer, '--json'])
  expect(broken.exit).toBe(1)
  expect(JSON.parse(broken.stdout)).toMatchObject({
    ok: false,
    breaks: [{ writer, sequence: 1, kind: 'edited' }],
  })
  expect(JSON.parse(broken.stderr).error.code).toBe('log.broken')
  const empty = await run(['logs', 'verify', '--tenant', 'nobody'])
  expect(empty).toMatchObject({
    exit: 0,
    stdout: 'the log is whole: 0 rows in 0 chains, 0 removed by retention\n',
  })
  const maintained = await run(['logs', 'maintain', '--json'])
  expect(JSON.parse(maintained.stdout)).toMatchObject({ ran: true, removed: 0 })
})

test('a decision that was taken back says by which row', async () => {
  const first = row('acme')
  const second = row('acme', {
    decided_at: first.decided_at,
    decision: 'deny',
    trace: { corrects: first.decision_id },
  })
  await append([first, second])
  const shown = await run(['logs', 'show', first.decision_id, '--json'])
  expect(JSON.parse(shown.stdout).corrected_by).toBe(second.decision_id)
  expect((await run(['logs', 'show', first.decision_id])).stdout).toContain(
    `corrected by ${second.decision_id}`,
  )
})
