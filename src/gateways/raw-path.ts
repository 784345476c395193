import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'

const PATH_LENGTH_MAX = 8_192
const NOT_PRINTABLE = /[^\x21-\x7e]/
// `%` must begin an escape.
const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i
// Different servers read these differently: control characters, unreserved ones (RFC 3986 section 2.3), `/` and `\`, an
// escape that is itself escaped, and bytes that never occur in UTF-8 (an overlong `/` begins with one).
const AMBIGUOUS_ESCAPE =
  /%(?:[01][0-9a-f]|2[d-f]|3[0-9]|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9aef]|c[01]|f[5-9a-f]|25[0-9a-f]{2})/i
// `/..;x/` is a parent folder to servers that know path parameters.
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:;[^/]*)?(?:\/|$)/

/**
 * The path of a raw request target, without its query, when it can be read in one way only.
 *
 * INVARIANT: policies compare the raw path, so a path that an upstream could normalise into another one is refused:
 * `.` and `..` segments, `//`, backslashes, control and non-ASCII characters, fragments, and escapes of any of these or of
 * characters that need none (`%61` is `a`).
 */
export function readRawPath(target: string): Result<string, Malformed> {
  if (target.length > PATH_LENGTH_MAX) return ambiguous(`is longer than ${PATH_LENGTH_MAX} characters`)
  if (!target.startsWith('/')) return ambiguous('does not begin with `/`')
  if (NOT_PRINTABLE.test(target)) return ambiguous('has control, blank or non-ASCII characters')
  if (target.includes('#')) return ambiguous('has a fragment')
  const path = target.split('?', 1)[0] ?? ''
  if (path.includes('//')) return ambiguous('has an empty segment')
  if (path.includes('\\')) return ambiguous('has a backslash')
  if (DOT_SEGMENT.test(path)) return ambiguous('has a `.` or `..` segment')
  if (BROKEN_ESCAPE.test(path)) return ambiguous('has a `%` that begins no escape')
  if (AMBIGUOUS_ESCAPE.test(path))
    return ambiguous('escapes a character that must not or need not be escaped')
  return success(path)
}

function ambiguous(what: string): Result<never, Malformed> {
  return failed({ code: 'request.path_ambiguous', message: `the path ${what}` })
}
