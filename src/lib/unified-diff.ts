/** Lines around a change that are shown with it. */
const CONTEXT = 3
/** Beyond this many pairs of lines the whole text counts as replaced. */
const PAIRS_MAX = 4_000_000

/** One line of the comparison: `-` only before, `+` only after, or both. */
interface Line {
  readonly mark: ' ' | '-' | '+'
  readonly text: string
}

/**
 * How `before` becomes `after`, as the hunks of a unified diff without file names; each line begins with a space, `-`,
 * `+` or `@@`. Empty for equal texts.
 */
export function unifiedDiff(before: string, after: string): readonly string[] {
  const lines = compare(linesOf(before), linesOf(after))
  const near = lines.map((_, i) =>
    lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(({ mark }) => mark !== ' '),
  )
  const hunks: string[] = []
  let [left, right] = [1, 1]
  for (const [i, { mark, text }] of lines.entries()) {
    if (near[i] === true) {
      if (near[i - 1] !== true) hunks.push(heading(lines, near, i, left, right))
      hunks.push(`${mark}${text}`)
    }
    if (mark !== '+') left += 1
    if (mark !== '-') right += 1
  }
  return hunks
}

function heading(
  lines: readonly Line[],
  near: readonly boolean[],
  from: number,
  left: number,
  right: number,
): string {
  const end = near.indexOf(false, from)
  const hunk = lines.slice(from, end === -1 ? undefined : end)
  const olds = hunk.filter(({ mark }) => mark !== '+').length
  const news = hunk.filter(({ mark }) => mark !== '-').length
  // A side without lines is named by the line before it.
  return `@@ -${olds === 0 ? left - 1 : left},${olds} +${news === 0 ? right - 1 : right},${news} @@`
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

function compare(before: readonly string[], after: readonly string[]): readonly Line[] {
  const shortest = Math.min(before.length, after.length)
  let head = 0
  while (head < shortest && before[head] === after[head]) head += 1
  let tail = 0
  while (tail < shortest - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1
  const same = (text: string): Line => ({ mark: ' ', text })
  return [
    ...before.slice(0, head).map(same),
    ...compareMiddle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ]
}

const removed = (text: string): Line => ({ mark: '-', text })
const added = (text: string): Line => ({ mark: '+', text })

function pick(isSame: boolean, takesOld: boolean, old: string, fresh: string): Line {
  if (isSame) return { mark: ' ', text: old }
  return takesOld ? removed(old) : added(fresh)
}

/** Longest common subsequence by dynamic programming; policies have few lines. */
function compareMiddle(before: readonly string[], after: readonly string[]): readonly Line[] {
  if (before.length * after.length > PAIRS_MAX) return [...before.map(removed), ...after.map(added)]
  const common = commonLengths(before, after)
  const at = (i: number, j: number): number => common[i * (after.length + 1) + j] ?? 0
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < before.length && j < after.length) {
    const [old = '', fresh = ''] = [before[i], after[j]]
    const isSame = old === fresh
    const takesOld = isSame || at(i + 1, j) >= at(i, j + 1)
    lines.push(pick(isSame, takesOld, old, fresh))
    i += takesOld ? 1 : 0
    j += isSame || !takesOld ? 1 : 0
  }
  return [...lines, ...before.slice(i).map(removed), ...after.slice(j).map(added)]
}

/** At `i * (after.length + 1) + j`: how many lines the rests from `i` and `j` have in common. */
function commonLengths(before: readonly string[], after: readonly string[]): Uint32Array {
  const width = after.length + 1
  const common = new Uint32Array((before.length + 1) * width)
  const at = (i: number, j: number): number => common[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i -= 1)
    for (let j = after.length - 1; j >= 0; j -= 1)
      common[i * width + j] =
        before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  return common
}
