import type { LogFilter } from '#decision-log/port.ts'
import type { Sql, Transaction } from './connections.ts'
import type { instantText } from './rows.ts'

type Condition = ReturnType<typeof instantText>

const EQUAL = {
  tenant: 'tenant',
  decision: 'decision',
  reason: 'reason',
  agent: 'agent',
  user: 'user',
  tool: 'tool',
  gateway: 'gateway',
  release: 'release',
  requestId: 'request_id',
} as const

/**
 * The rows that `filter` keeps, as a condition on `decisions`. Needs an index for each: those of the table, and for
 * policy, words, release and gateway those that maintenance gives to partitions that get no more rows; in the present
 * week these are looked for from the newest row on.
 */
export function logCondition(sql: Sql | Transaction, filter: LogFilter): Condition {
  const conditions: Condition[] = []
  for (const [name, column] of Object.entries(EQUAL) as [keyof typeof EQUAL, string][]) {
    const value = filter[name]
    if (value !== undefined) conditions.push(sql`${sql(column)} = ${value}`)
  }
  if (filter.since !== undefined) conditions.push(sql`decided_at >= ${filter.since}::text::timestamptz`)
  if (filter.until !== undefined) conditions.push(sql`decided_at < ${filter.until}::text::timestamptz`)
  if (filter.policy !== undefined)
    conditions.push(sql`policies::jsonb @> ${JSON.stringify([filter.policy])}::text::jsonb`)
  if (filter.text !== undefined)
    conditions.push(sql`log_words(agent, "user", subject, tool, action, resource, request_id, reason,
      reasons::text, facts::text) @@ log_phrase(${filter.text})`)
  return conditions.reduce((all, condition) => sql`${all} and ${condition}`, sql`true`)
}
