import type { JsonObject } from '#model/value.ts'

const DEPTH_MAX = 16

/**
 * The JSON object that `text` spells, or undefined when it is anything else, nests deeper than 16, or names a member
 * twice or `__proto__` (RFC 7519 section 4 lets parsers differ on duplicates, so a gateway may have read the other one).
 */
export function parseStrictObject(text: string): JsonObject | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isObject(value) && hasCleanMembers(text) ? value : undefined
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Walks text that is known to be valid JSON; a string is a member name when a colon follows it. */
function hasCleanMembers(text: string): boolean {
  const open: Set<string>[] = []
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '"') {
      const end = endOfString(text, i)
      const isName = text[afterSpace(text, end)] === ':'
      if (isName && !addMember(open.at(-1), text.slice(i, end))) return false
      i = end - 1
    } else if (char === '{' || char === '[') open.push(new Set())
    else if (char === '}' || char === ']') open.pop()
    if (open.length > DEPTH_MAX) return false
  }
  return true
}

function addMember(members: Set<string> | undefined, quoted: string): boolean {
  // Escapes are resolved first: "\u0073ub" and "sub" are the same member.
  const name: unknown = JSON.parse(quoted)
  if (typeof name !== 'string' || name === '__proto__' || members === undefined || members.has(name))
    return false
  members.add(name)
  return true
}

function endOfString(text: string, start: number): number {
  let i = start + 1
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i + 1
}

function afterSpace(text: string, start: number): number {
  let i = start
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\t' || text[i] === '\r') i++
  return i
}
