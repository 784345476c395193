/** A pattern of `like` as policies store it: `null` is the wildcard, a string is text that must be there. */
export type Pattern = readonly (string | null)[]

/** Whether the whole text matches. */
export type Matcher = (text: string) => boolean

/** Below this, searching costs at most so many steps per character of the text; above, a table makes it one. */
const TABLE_FROM = 16

/**
 * Compiles a pattern. Texts are compared by UTF-16 unit: both sides are well-formed, so a match never splits a character.
 * Time is linear in the text, whatever the pattern: each piece between wildcards is found at its first place.
 */
export function compilePattern(pattern: Pattern): Matcher {
  const pieces: string[] = ['']
  for (const part of pattern) {
    if (part === null) pieces.push('')
    else pieces.push(`${pieces.pop() ?? ''}${part}`)
  }
  const first = pieces[0] ?? ''
  if (pieces.length === 1) return (text) => text === first
  const last = pieces.at(-1) ?? ''
  const middle = pieces
    .slice(1, -1)
    .filter((piece) => piece !== '')
    .map(searcher)
  const outer = first.length + last.length
  return (text) => {
    if (text.length < outer || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let at = first.length
    for (const search of middle) {
      at = search(text, at)
      if (at === -1 || at > end) return false
    }
    return true
  }
}

/** Gives the index after the first occurrence at or after `from`, or -1. */
type Search = (text: string, from: number) => number

function searcher(piece: string): Search {
  if (piece.length < TABLE_FROM) {
    return (text, from) => {
      const found = text.indexOf(piece, from)
      return found === -1 ? -1 : found + piece.length
    }
  }
  const borders = bordersOf(piece)
  return (text, from) => {
    let matched = 0
    for (let i = from; i < text.length; i += 1) {
      const unit = text.charCodeAt(i)
      while (matched > 0 && piece.charCodeAt(matched) !== unit) matched = borders[matched - 1] ?? 0
      if (piece.charCodeAt(matched) === unit) matched += 1
      if (matched === piece.length) return i + 1
    }
    return -1
  }
}

/** For each prefix the length of its longest proper border (Knuth, Morris, Pratt). */
function bordersOf(piece: string): Int32Array {
  const borders = new Int32Array(piece.length)
  let matched = 0
  for (let i = 1; i < piece.length; i += 1) {
    const unit = piece.charCodeAt(i)
    while (matched > 0 && piece.charCodeAt(matched) !== unit) matched = borders[matched - 1] ?? 0
    if (piece.charCodeAt(matched) === unit) matched += 1
    borders[i] = matched
  }
  return borders
}
