import type { SourceFile } from '#model/release.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import { LIMITS } from './limits.ts'
import { type Token, tokens } from './tokens.ts'

/** One policy of a file with its own text; the engine has not seen it yet. */
export interface PolicySource {
  readonly file: SourceFile
  /** From the comment directly before the policy to its `;`. */
  readonly text: string
  /** UTF-16 index of `text` in the file. */
  readonly start: number
  /** UTF-16 index in the file of the first token that is not a comment. */
  readonly head: number
  /** UTF-16 index in the file of each annotation's `@`, by name. */
  readonly annotations: ReadonlyMap<string, number>
}

/** What `splitPolicies` found: policies that passed the guard, and why others did not. */
export interface SplitFile {
  readonly policies: readonly PolicySource[]
  readonly diagnostics: readonly Diagnostic[]
}

const OPERATORS = new Set(['&&', '||', '+', '-', '*', '!', '<', '<=', '>', '>=', '==', '!='])
const WORD_OPERATORS = new Set(['in', 'has', 'like', 'is', 'if'])
// A path that starts at a name may have this many steps before they count as operators.
const FREE_STEPS = 4

/**
 * Splits a policy file at the `;` outside of strings and comments, and refuses what could exhaust the engine's stack,
 * before any of it is parsed. Each policy keeps the comment lines directly above it.
 */
export function splitPolicies(file: SourceFile): SplitFile {
  const policies: PolicySource[] = []
  const diagnostics: Diagnostic[] = []
  let draft = new Draft()
  for (const token of tokens(file.text)) {
    if (token.kind === 'comment') {
      draft.comment(token, file.text)
      continue
    }
    draft.add(token)
    if (token.text !== ';' || token.kind !== 'mark') continue
    const problem = draft.problem(file.text)
    if (problem === undefined) policies.push(draft.source(file, token.end))
    else diagnostics.push(diagnosticAt(file, problem.offset, problem.finding))
    draft = new Draft(token.end)
  }
  if (draft.head !== undefined)
    diagnostics.push(
      diagnosticAt(file, draft.end, {
        code: 'policy.syntax',
        message: 'the policy has no end',
        help: 'every policy ends with `;`; look for a missing `;` or quote',
      }),
    )
  return { policies, diagnostics }
}

interface Problem {
  readonly offset: number
  readonly finding: Finding
}

/** The policy that is being read. */
class Draft {
  head: number | undefined
  end = 0
  #commentStart: number | undefined
  #commentEnd = 0
  #depth = 0
  #deepest = 0
  #deepestAt = 0
  #operators = 0
  #steps = 0
  #previous: Token | undefined
  #annotations = new Map<string, number>()
  readonly #after: number

  constructor(after = -1) {
    this.#after = after
  }

  /** Keeps comment lines that stand directly above the policy; a blank line or the line of the last `;` parts them. */
  comment(token: Token, text: string): void {
    if (this.head !== undefined) return
    if (this.#after !== -1 && !text.slice(this.#after, token.start).includes('\n')) return
    if (this.#commentStart === undefined || isParted(text.slice(this.#commentEnd, token.start)))
      this.#commentStart = token.start
    this.#commentEnd = token.end
  }

  add(token: Token): void {
    this.head ??= token.start
    this.end = token.end
    this.#count(token)
    if (this.#previous?.text === '@' && this.#depth === 0 && token.kind === 'word')
      this.#annotations.set(token.text, this.#previous.start)
    this.#previous = token
  }

  problem(text: string): Problem | undefined {
    const bytes = Buffer.byteLength(text.slice(this.#start(text), this.end))
    if (bytes > LIMITS.policyBytes)
      return this.#refuse(
        'policy.too_large',
        `the policy has ${bytes} bytes; the limit is ${LIMITS.policyBytes}`,
      )
    if (this.#deepest > LIMITS.policyNesting)
      return {
        offset: this.#deepestAt,
        finding: {
          code: 'policy.too_deep',
          message: `brackets are nested ${this.#deepest} deep; the limit is ${LIMITS.policyNesting}`,
        },
      }
    if (this.#operators > LIMITS.policyOperators)
      return this.#refuse(
        'policy.too_complex',
        `the policy has ${this.#operators} operators; the limit is ${LIMITS.policyOperators}`,
        'write a list of alternatives as `["a", "b"].contains(x)`, or split the policy',
      )
    return undefined
  }

  source(file: SourceFile, end: number): PolicySource {
    const start = this.#start(file.text)
    return {
      file,
      text: file.text.slice(start, end),
      start,
      head: this.head ?? start,
      annotations: this.#annotations,
    }
  }

  #start(text: string): number {
    const head = this.head ?? 0
    if (this.#commentStart === undefined || isParted(text.slice(this.#commentEnd, head))) return head
    return this.#commentStart
  }

  #refuse(code: Finding['code'], message: string, help?: string): Problem {
    return { offset: this.head ?? 0, finding: { code, message, help } }
  }

  // INVARIANT: the depth of the syntax tree is at most nesting + operators + FREE_STEPS, whatever the text is.
  #count(token: Token): void {
    const { text } = token
    if (text === '(' || text === '[' || text === '{') {
      this.#depth += 1
      if (this.#depth > this.#deepest) {
        this.#deepest = this.#depth
        this.#deepestAt = token.start
      }
    } else if (text === ')' || text === ']' || text === '}') this.#depth -= 1
    this.#countStep(token)
    if (token.kind === 'mark' ? OPERATORS.has(text) : this.#isWordOperator(token)) this.#operators += 1
  }

  /** Counts `.name` and `[...]` after a value; a few steps from a name are free, others nest the tree like operators. */
  #countStep(token: Token): void {
    const previous = this.#previous
    const isStep = token.text === '.' || (token.text === '[' && endsValue(previous))
    if (isStep) {
      this.#steps = previous?.kind === 'word' ? this.#steps + 1 : FREE_STEPS + 1
      if (this.#steps > FREE_STEPS) this.#operators += 1
    } else if (previous?.text !== '.') this.#steps = 0
  }

  #isWordOperator(token: Token): boolean {
    return token.kind === 'word' && WORD_OPERATORS.has(token.text) && this.#previous?.text !== '.'
  }
}

function endsValue(token: Token | undefined): boolean {
  return token !== undefined && (token.kind === 'word' || token.text === ')' || token.text === ']')
}

function isParted(between: string): boolean {
  return between.indexOf('\n') !== between.lastIndexOf('\n')
}
