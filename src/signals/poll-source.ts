import { failed, type Result, success } from '#lib/result.ts'
import { ACCESS_MEMBERS, isUrl, parseAccess, type TransmitterAccess } from './transmitter-access.ts'

/** Where events are fetched (RFC 8936), and how Warder proves itself there. */
export interface PollSource extends TransmitterAccess {
  readonly url: string
  /** Whether the transmitter holds a request until there is an event. */
  readonly long: boolean
}

const MEMBERS = new Set<string>(['url', 'long', ...ACCESS_MEMBERS])

/** Reads the member `poll` of a stream file, which may be absent; the failure says what is wrong, with the name of the member. */
export function parsePollSource(value: unknown): Result<{ readonly source?: PollSource }, string> {
  if (value === undefined) return success({})
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return failed('`poll` must be an object')
  const record: { readonly [name: string]: unknown } = { ...value }
  const unknown = Object.keys(record).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) return failed(`\`poll.${unknown.slice(0, 64)}\` is not a member`)
  const { url, long = false } = record
  if (!isUrl(url)) return failed('`poll.url` must be a URL without credentials and fragment')
  if (typeof long !== 'boolean') return failed('`poll.long` must be true or false')
  const access = parseAccess(record, 'poll')
  return access.ok ? success({ source: { url, long, ...access.value } }) : access
}
