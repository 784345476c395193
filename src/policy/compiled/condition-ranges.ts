import { type Token, tokens } from '#policy/compile/tokens.ts'

/** Part of a text, in UTF-16 indices. */
export interface TextRange {
  readonly start: number
  readonly end: number
}

/**
 * Where the terms of each condition stand in a policy's text: operands of `&&` in a `when` and of `||` in an `unless`,
 * through brackets around them. Reads tokens only; the text must be that of one valid policy.
 */
export function termRanges(text: string): readonly (readonly TextRange[])[] {
  const all = [...tokens(text)].filter(({ kind }) => kind !== 'comment')
  const found: TextRange[][] = []
  for (let at = 0; at < all.length; at += 1) {
    const [word, open] = [all[at]?.text, all[at + 1]?.text]
    if (open === '(' || open === '[') continue
    if ((word !== 'when' && word !== 'unless') || open !== '{') continue
    const end = closing(all, at + 1)
    found.push(split(all.slice(at + 2, end), word === 'when' ? '&&' : '||'))
    at = end
  }
  return found
}

/** A work list instead of recursion: brackets in brackets are as deep as the author wrote them. */
function split(body: readonly Token[], operator: '&&' | '||'): TextRange[] {
  const ranges: TextRange[] = []
  const open: (readonly Token[])[] = [body]
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    const [first, last] = [part[0], part.at(-1)]
    if (first === undefined || last === undefined) continue
    const cuts = operatorsIn(part, operator)
    if (cuts.length > 0) {
      const edges = [-1, ...cuts, part.length]
      const inner = edges.slice(1).map((edge, i) => part.slice((edges[i] ?? 0) + 1, edge))
      open.push(...inner.reverse())
    } else if (first.text === '(' && closing(part, 0) === part.length - 1) open.push(part.slice(1, -1))
    else ranges.push({ start: first.start, end: last.end })
  }
  return ranges
}

/** Indices of the operator outside of brackets; none where another operator stands above it. */
function operatorsIn(part: readonly Token[], operator: '&&' | '||'): readonly number[] {
  if (part[0]?.text === 'if') return []
  const cuts: number[] = []
  for (let at = 0; at < part.length; at += 1) {
    const token = part[at]
    if (token?.kind !== 'mark') continue
    if (isOpening(token)) at = closing(part, at)
    else if (token.text === operator) cuts.push(at)
    else if (token.text === '||') return []
  }
  return cuts
}

function closing(all: readonly Token[], from: number): number {
  let depth = 0
  for (let at = from; at < all.length; at += 1) {
    const token = all[at]
    if (token?.kind !== 'mark') continue
    if (isOpening(token)) depth += 1
    else if (token.text === ')' || token.text === ']' || token.text === '}') depth -= 1
    if (depth === 0) return at
  }
  return all.length
}

function isOpening({ text }: Token): boolean {
  return text === '(' || text === '[' || text === '{'
}
