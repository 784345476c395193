import type { DueStream, PollQueue } from '#signals/poll-due.ts'
import type { StreamRecord } from '#signals/stream.ts'
import type { Database } from './database.ts'

/** Longer than any session takes; a server that died leaves its streams to the others after it. */
const LEASE_SECONDS = 120

interface Leased extends Pick<DueStream, 'id' | 'tenant' | 'name' | 'failures'> {
  readonly record: StreamRecord
}

/** The streams of this database whose events are fetched. INVARIANT: a lease is one statement, so no two servers get a stream. */
export function createPollQueue({ owner }: Database): PollQueue {
  return {
    lease: async (limit) => {
      const rows = await owner<Leased[]>`
        update signal_polls p set next_at = now() + make_interval(secs => ${LEASE_SECONDS})
        from signal_streams s where s.stream = p.stream and p.stream in (
          select stream from signal_polls where next_at <= now() order by next_at limit ${limit} for update skip locked)
        returning s.stream::text as id, s.tenant, s.name, p.failures, s.record`
      return rows.map(({ record, ...row }) => ({ ...row, ...record }))
    },
    done: async (stream, { fault, seconds }) => {
      await owner`
        update signal_polls set next_at = now() + make_interval(secs => ${seconds}), fault = ${fault ?? null},
          failures = case when ${fault === undefined} then 0 else failures + 1 end,
          polled_at = case when ${fault === undefined} then now() else polled_at end
        where stream = ${stream}::text::uuid`
    },
  }
}
