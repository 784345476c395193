import { isObject, type JsonObject, parseJson, textOf } from './json.ts'
import type { Stage } from './stage.ts'
import type { Story } from './story.ts'
import { TENANT } from './tools.ts'

/** What the log must say about each tool call, in the order of the calls. */
const EXPECTED = [
  'workbench/list_repo allow',
  'workbench/delete_repo deny',
  'workbench/delete_repo deny',
  'workbench/read_customer allow',
  'workbench/create_release allow',
  'workbench/create_release allow',
]

/** Which component asks in which dialect. */
const ASKED_BY: Readonly<Record<string, string>> = { 'envoy-http': 'Envoy', native: 'MCP gateway' }

/** Prints the tenant's rows of the decision log, oldest first, and compares those of tool calls with what happened. */
export async function showLog({ warder, hasEnvoy }: Stage, story: Story): Promise<void> {
  story.chapter('What the decision log kept')
  const args = ['logs', 'query', '--tenant', TENANT]
  const printed = parseJson(await warder.cli(...args, '--limit', '200', '--json'))
  const rows = (Array.isArray(printed) ? printed.filter(isObject) : []).toReversed()
  story.line(`$ warder ${args.join(' ')}`)
  for (const row of rows) story.line(lineOf(row))
  const calls = rows.filter((row) => textOf(row['tool']).startsWith('workbench/'))
  const found = calls.map((row) => `${textOf(row['tool'])} ${textOf(row['decision'])}`)
  story.check('one row for each tool call', JSON.stringify(found) === JSON.stringify(EXPECTED))
  const coarse = rows.filter((row) => textOf(row['tool']) === 'mcp/connect')
  const both = coarse.some(isAllow) && coarse.some((row) => !isAllow(row))
  story.check(`and one for each coarse check, by ${hasEnvoy ? 'Envoy' : 'the MCP gateway'}`, both)
}

function isAllow(row: JsonObject): boolean {
  return row['decision'] === 'allow'
}

function lineOf(row: JsonObject): string {
  const cells = [
    textOf(row['decided_at']).slice(11, 23),
    (ASKED_BY[textOf(row['dialect'])] ?? textOf(row['dialect'])).padEnd(11),
    (textOf(row['agent']) || '-').padEnd(12),
    (textOf(row['tool']) || '-').padEnd(24),
    textOf(row['decision']).padEnd(6),
    textOf(row['reason']),
  ]
  return cells.join(' ')
}
