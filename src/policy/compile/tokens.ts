/** One token of Cedar policy or schema text; `start` and `end` are UTF-16 indices. */
export interface Token {
  readonly kind: 'word' | 'string' | 'number' | 'mark' | 'comment' | 'bad'
  readonly text: string
  readonly start: number
  readonly end: number
}

// Comments end at the first CR or LF, exactly as in Cedar's lexer: a policy must not hide in what looks like one.
// A string is only recognised by its first quote here; `bad` takes one code unit, so that the scan always advances.
const TOKEN =
  /\s+|(\/\/[^\r\n]*)|([A-Za-z_][A-Za-z0-9_]*)|(")|([0-9]+)|(::|&&|\|\||==|!=|<=|>=|[@(){}[\],;:.<>=+\-*!?%/])|([\s\S])/y

const KINDS = ['comment', 'word', 'string', 'number', 'mark', 'bad'] as const

/**
 * Splits Cedar text into tokens without recursion, comments included, whitespace left out. Never fails: a quote
 * without its end and characters that Cedar does not know become `bad` tokens.
 */
export function* tokens(text: string): Generator<Token> {
  const pattern = new RegExp(TOKEN)
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex
    const match = pattern.exec(text)
    // Cannot happen (the last alternative matches anything); ends the scan rather than looping for ever.
    if (match === null) return
    const kind = KINDS[match.slice(1).findIndex((part) => part !== undefined)]
    if (kind === undefined) continue
    if (kind !== 'string') {
      yield { kind, text: match[0], start, end: pattern.lastIndex }
      continue
    }
    const end = stringEnd(text, start + 1)
    pattern.lastIndex = end ?? start + 1
    yield {
      kind: end === undefined ? 'bad' : 'string',
      text: text.slice(start, pattern.lastIndex),
      start,
      end: pattern.lastIndex,
    }
  }
}

/** Index after the closing quote; strings may span lines, an escaped line break ends the attempt as in Cedar. */
function stringEnd(text: string, from: number): number | undefined {
  for (let i = from; i < text.length; i += 1) {
    const character = text[i]
    if (character === '"') return i + 1
    if (character === '\\') {
      i += 1
      if (text[i] === '\n' || text[i] === '\r') return undefined
    }
  }
  return undefined
}
