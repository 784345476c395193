import type { StatusPlace } from '#model/token-status.ts'
import type { Json } from '#model/value.ts'
import { isObject } from './claim-path.ts'

const URI_CHARACTERS_MAX = 2_048

/**
 * The place that the claim `status` of a token names (Token Status List, section 6.2). A `status` without `status_list` is not ours to
 * read: another mechanism, or a claim of that name from before there was one.
 */
export function readStatus(claim: Json | undefined): StatusPlace | undefined | 'unreadable' {
  if (!isObject(claim) || claim['status_list'] === undefined) return undefined
  const { idx: index, uri } = isObject(claim['status_list']) ? claim['status_list'] : {}
  const isPlace =
    typeof index === 'number' &&
    Number.isSafeInteger(index) &&
    index >= 0 &&
    typeof uri === 'string' &&
    uri.length <= URI_CHARACTERS_MAX
  return isPlace ? { index, uri } : 'unreadable'
}
