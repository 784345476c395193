import type { SourceFile } from '#model/release.ts'
import { type Diagnostic, diagnosticAt, type Finding } from './diagnostic.ts'
import type { Piece } from './mapped-text.ts'
import type { Token } from './tokens.ts'

/** The attributes that every call has. */
export interface CallContext {
  readonly names: ReadonlySet<string>
  /** Source text of the attributes, ending with a comma. */
  readonly source: string
}

/** Pieces of the actions that a tenant adds, completed; and what was wrong with them. */
export interface SplicedActions {
  readonly pieces: readonly Piece[]
  readonly diagnostics: readonly Diagnostic[]
}

/** Text to insert at a UTF-16 index of the file. */
interface Insertion {
  readonly at: number
  readonly text: string
}

const APPLIES = 'appliesTo { principal: [Agent, User], resource: [Tool, Resource], context: CallContext }'

/**
 * Completes the declarations inside a tenant's `namespace Warder { ... }`: an action without groups gets `callTool`,
 * one without `appliesTo` or `context` gets ours, and a record context gets all attributes of `CallContext`.
 * Anything but an action is refused. `body` are the tokens between the braces, without comments.
 */
export function spliceActions(
  file: SourceFile,
  body: readonly Token[],
  context: CallContext,
): SplicedActions {
  const pieces: Piece[] = []
  const diagnostics: Diagnostic[] = []
  for (const declaration of declarations(body)) {
    const first = declaration[0]
    const last = declaration.at(-1)
    if (first === undefined || last === undefined) continue
    const keyword = declaration.findIndex((token, i) => isKeyword(declaration, token, i))
    const word = declaration[keyword]
    if (word?.text !== 'action') {
      diagnostics.push(
        diagnosticAt(file, (word ?? first).start, {
          code: 'schema.warder_namespace',
          message: 'only actions can be added to the namespace `Warder`',
          help: 'declare entity types and common types in a namespace of your own',
        }),
      )
      continue
    }
    const insertions = complete(declaration.slice(keyword + 1), context, (token, finding) => {
      diagnostics.push(diagnosticAt(file, token.start, finding))
    })
    pieces.push(...insert(file, first.start, last.end, insertions), {
      text: '\n',
      file,
      offset: last.end,
      generated: true,
    })
  }
  return { pieces, diagnostics }
}

/** Attribute names of a record, with their tokens; `body` are the tokens between its braces. */
export function attributeNames(body: readonly Token[]): readonly { name: string; token: Token }[] {
  const names: { name: string; token: Token }[] = []
  let depth = 0
  for (const [i, token] of body.entries()) {
    if (token.kind === 'mark' && '([{<'.includes(token.text)) depth += 1
    if (token.kind === 'mark' && ')]}>'.includes(token.text)) depth -= 1
    const next = body[i + 1]?.text
    const isName = token.kind === 'word' || token.kind === 'string'
    if (depth === 0 && isName && (next === ':' || next === '?')) names.push({ name: unquote(token), token })
  }
  return names
}

/** Splits at the `;` outside of brackets. */
function declarations(body: readonly Token[]): readonly (readonly Token[])[] {
  const found: Token[][] = []
  let current: Token[] = []
  let depth = 0
  for (const token of body) {
    current.push(token)
    if (token.kind !== 'mark') continue
    if ('([{'.includes(token.text)) depth += 1
    if (')]}'.includes(token.text)) depth -= 1
    if (token.text !== ';' || depth !== 0) continue
    found.push(current)
    current = []
  }
  if (current.length > 0) found.push(current)
  return found
}

/** The first word that is no part of an annotation `@name("...")`. */
function isKeyword(declaration: readonly Token[], token: Token, i: number): boolean {
  return token.kind === 'word' && declaration[i - 1]?.text !== '@'
}

function complete(
  action: readonly Token[],
  context: CallContext,
  report: (token: Token, finding: Finding) => void,
): readonly Insertion[] {
  const end = action.at(-1)
  if (end === undefined) return []
  const applies = indexAtTop(action, 'appliesTo')
  const attributes = indexAtTop(action, 'attributes')
  const afterNames = action[applies !== -1 ? applies : attributes] ?? end
  const insertions: Insertion[] = []
  if (indexAtTop(action, 'in') === -1) insertions.push({ at: afterNames.start, text: ' in [callTool] ' })
  if (applies === -1) {
    insertions.push({ at: (action[attributes] ?? end).start, text: ` ${APPLIES} ` })
    return insertions
  }
  return [...insertions, ...completeContext(action, applies + 1, context, report)]
}

/** Completes the `context` inside the braces of `appliesTo`; `open` is the token index of the first brace. */
function completeContext(
  action: readonly Token[],
  open: number,
  context: CallContext,
  report: (token: Token, finding: Finding) => void,
): readonly Insertion[] {
  const openToken = action[open]
  if (openToken === undefined) return []
  const at = action.findIndex(
    (token, i) =>
      i > open && token.text === 'context' && action[i + 1]?.text === ':' && depthAt(action, open, i) === 1,
  )
  const value = action[at + 2]
  if (at === -1 || value === undefined) return [{ at: openToken.end, text: ' context: CallContext, ' }]
  if (value.text === '{') {
    for (const { name, token } of attributeNames(recordBody(action, at + 2)))
      if (context.names.has(name))
        report(token, {
          code: 'schema.context_redeclared',
          message: `every call already has the context attribute \`${name}\``,
          help: 'choose another name; arguments of the tool fit into a record of their own',
        })
    return [{ at: value.end, text: ` ${context.source} ` }]
  }
  if (value.text !== 'CallContext' || action[at + 3]?.text === '::')
    report(value, {
      code: 'schema.context_type',
      message: 'the context of an added action must be written as a record',
      help: 'write `context: { ... }` with the attributes that the action has in addition to `CallContext`',
    })
  return []
}

function indexAtTop(action: readonly Token[], word: string): number {
  return action.findIndex(
    (token, i) =>
      token.kind === 'word' && token.text === word && depthAt(action, 0, i) === 0 && isClause(action, i),
  )
}

/** An action may itself be called `in`, `appliesTo` or `attributes`: a clause follows a name, a list or a block. */
function isClause(action: readonly Token[], i: number): boolean {
  const previous = action[i - 1]
  return previous !== undefined && previous.text !== ',' && previous.text !== '::'
}

function depthAt(action: readonly Token[], from: number, to: number): number {
  let depth = 0
  for (let i = from; i < to; i += 1) {
    const token = action[i]
    if (token?.kind !== 'mark') continue
    if ('([{'.includes(token.text)) depth += 1
    if (')]}'.includes(token.text)) depth -= 1
  }
  return depth
}

function recordBody(action: readonly Token[], open: number): readonly Token[] {
  let end = open + 1
  while (end < action.length && depthAt(action, open, end + 1) > 0) end += 1
  return action.slice(open + 1, end)
}

function insert(
  file: SourceFile,
  start: number,
  end: number,
  insertions: readonly Insertion[],
): readonly Piece[] {
  const pieces: Piece[] = []
  let rest = start
  for (const { at, text } of insertions.toSorted((a, b) => a.at - b.at)) {
    pieces.push({ text: file.text.slice(rest, at), file, offset: rest, generated: false })
    pieces.push({ text, file, offset: at, generated: true })
    rest = at
  }
  pieces.push({ text: file.text.slice(rest, end), file, offset: rest, generated: false })
  return pieces
}

function unquote(token: Token): string {
  if (token.kind !== 'string') return token.text
  // Escapes beyond these do not occur in a name of ours, so they can not hide one... unless written as \u or \x.
  return token.text
    .slice(1, -1)
    .replace(/\\u\{([0-9a-fA-F]{1,6})\}|\\x([0-9a-fA-F]{2})/g, (_, long?: string, short?: string) =>
      String.fromCodePoint(Math.min(0x10ffff, Number.parseInt(long ?? short ?? '', 16))),
    )
}
