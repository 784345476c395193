import { expect, test } from 'vitest'
import { readRawPath } from '#gateways/raw-path.ts'

test.each([
  ['/a/../b', 'has a `.` or `..` segment'],
  ['/..', 'has a `.` or `..` segment'],
  ['/./a', 'has a `.` or `..` segment'],
  ['/a/..;x=1/b', 'has a `.` or `..` segment'],
  ['/a/%2e%2e/b', 'escapes a character that must not or need not be escaped'],
  ['/a/.%2E/b', 'escapes a character that must not or need not be escaped'],
  ['/a%2fb', 'escapes a character that must not or need not be escaped'],
  ['/a%5cb', 'escapes a character that must not or need not be escaped'],
  ['/a%00', 'escapes a character that must not or need not be escaped'],
  ['/%61dmin', 'escapes a character that must not or need not be escaped'],
  ['/%41', 'escapes a character that must not or need not be escaped'],
  ['/%7euser', 'escapes a character that must not or need not be escaped'],
  ['/%252e%252e/', 'escapes a character that must not or need not be escaped'],
  ['/%c0%ae', 'escapes a character that must not or need not be escaped'],
  ['/a//b', 'has an empty segment'],
  ['//host/path', 'has an empty segment'],
  ['/a\\b', 'has a backslash'],
  ['/a%zz', 'has a `%` that begins no escape'],
  ['/a%2', 'has a `%` that begins no escape'],
  ['/a b', 'has control, blank or non-ASCII characters'],
  ['/a\u00e9', 'has control, blank or non-ASCII characters'],
  ['/a\r\nX: y', 'has control, blank or non-ASCII characters'],
  ['/a?q=\u0000', 'has control, blank or non-ASCII characters'],
  ['/a#b', 'has a fragment'],
  ['http://host/a', 'does not begin with `/`'],
  ['*', 'does not begin with `/`'],
  ['', 'does not begin with `/`'],
  [`/${'a'.repeat(8192)}`, 'is longer than 8192 characters'],
])('%j can be read in more than one way', (target, what) => {
  expect(readRawPath(target)).toEqual({
    ok: false,
    failure: { code: 'request.path_ambiguous', message: `the path ${what}` },
  })
})

test.each([
  ['/', '/'],
  ['/todos/{todoId}?a=../b&c=%2e', '/todos/{todoId}'],
  ['/caf%C3%A9/a%20b/a%2Cb', '/caf%C3%A9/a%20b/a%2Cb'],
  ['/a..b/.well-known/...', '/a..b/.well-known/...'],
  ['/100%25', '/100%25'],
  ['/a;v=1/b', '/a;v=1/b'],
])('%s is read as %s', (target, path) => {
  expect(readRawPath(target)).toEqual({ ok: true, value: path })
})
