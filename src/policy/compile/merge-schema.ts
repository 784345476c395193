import type { SourceFile } from '#model/release.ts'
import { type Diagnostic, diagnosticAt } from './diagnostic.ts'
import { LIMITS } from './limits.ts'
import type { Piece } from './mapped-text.ts'
import { attributeNames, spliceActions } from './splice-actions.ts'
import { type Token, tokens } from './tokens.ts'

/** The pieces of one schema text, with a gap inside the namespace `Warder` where tools can be declared. */
export interface MergedSchema {
  readonly before: readonly Piece[]
  readonly after: readonly Piece[]
  readonly diagnostics: readonly Diagnostic[]
}

/** A parsed top level `namespace Warder { ... }`; token indices of the braces. */
interface Block {
  readonly keyword: number
  readonly open: number
  readonly close: number
}

/**
 * Appends the tenant's schema files to ours. Cedar refuses a namespace twice, so the actions that a tenant adds to the
 * namespace `Warder` are spliced into our block; everything else follows it.
 */
export function mergeSchema(ours: SourceFile, tenant: readonly SourceFile[]): MergedSchema {
  const ourTokens = codeTokens(ours.text)
  const block = warderBlocks(ourTokens).at(0)
  const closing = block === undefined ? undefined : ourTokens[block.close]
  if (closing === undefined) throw new TypeError('the shipped schema has no namespace Warder')
  const context = contextOf(ours.text, ourTokens)
  const inside: Piece[] = []
  const after: Piece[] = []
  const diagnostics: Diagnostic[] = []
  for (const file of tenant) {
    const found = codeTokens(file.text)
    let rest = 0
    for (const part of warderBlocks(found)) {
      const keyword = found[part.keyword]
      const close = found[part.close]
      if (keyword === undefined || close === undefined) continue
      const spliced = spliceActions(file, found.slice(part.open + 1, part.close), context)
      inside.push(...spliced.pieces)
      diagnostics.push(...spliced.diagnostics)
      after.push({ text: file.text.slice(rest, keyword.start), file, offset: rest, generated: false })
      rest = close.end
    }
    diagnostics.push(...nestedNamespaces(file, found))
    after.push({ text: `${file.text.slice(rest)}\n`, file, offset: rest, generated: false })
  }
  const offset = closing.start
  return {
    before: [{ text: ours.text.slice(0, offset), file: ours, offset: 0, generated: false }, ...inside],
    after: [{ text: `${ours.text.slice(offset)}\n`, file: ours, offset, generated: false }, ...after],
    diagnostics,
  }
}

/** Declarations of tools, to stand between the two halves of a merged schema. */
export function declareTools(ids: readonly string[]): string {
  return ids.map((id) => `  action ${cedarString(id)} in [callTool] appliesTo ${TOOL_APPLIES};\n`).join('')
}

const TOOL_APPLIES = '{ principal: [Agent, User], resource: [Tool, Resource], context: CallContext }'

/** Refuses a schema file that could exhaust the parser or whose brackets do not match. */
export function guardSchema(file: SourceFile): readonly Diagnostic[] {
  const bytes = Buffer.byteLength(file.text)
  if (bytes > LIMITS.schemaBytes)
    return [
      diagnosticAt(file, 0, {
        code: 'schema.too_large',
        message: `the schema has ${bytes} bytes; the limit is ${LIMITS.schemaBytes}`,
      }),
    ]
  const open: Token[] = []
  for (const token of tokens(file.text)) {
    if (token.kind !== 'mark') continue
    if ('([{<'.includes(token.text)) open.push(token)
    else if (')]}>'.includes(token.text) && !matches(open.pop(), token)) return [unbalanced(file, token)]
    if (open.length > LIMITS.schemaNesting)
      return [
        diagnosticAt(file, token.start, {
          code: 'schema.too_deep',
          message: `brackets are nested deeper than ${LIMITS.schemaNesting}`,
        }),
      ]
  }
  const left = open.at(-1)
  return left === undefined ? [] : [unbalanced(file, left)]
}

/** Whether the text names the namespace `Warder`, a type or an action of it, outside of strings and comments. */
export function namesWarder(text: string): boolean {
  let previous = ''
  let isAfterName = false
  for (const token of tokens(text)) {
    if (token.kind === 'comment') continue
    if (isAfterName && token.text === '::') return true
    isAfterName = token.kind === 'word' && token.text === 'Warder'
    if (isAfterName && previous === 'namespace') return true
    previous = token.text
  }
  return false
}

function codeTokens(text: string): readonly Token[] {
  return [...tokens(text)].filter((token) => token.kind !== 'comment')
}

function warderBlocks(found: readonly Token[]): readonly Block[] {
  const blocks: Block[] = []
  let depth = 0
  for (const [i, token] of found.entries()) {
    if (token.kind !== 'mark' && token.kind !== 'word') continue
    if (token.text === '{') depth += 1
    if (token.text === '}') depth -= 1
    const isWarder =
      token.text === 'namespace' && found[i + 1]?.text === 'Warder' && found[i + 2]?.text === '{'
    if (depth === 0 && isWarder) blocks.push({ keyword: i, open: i + 2, close: closingBrace(found, i + 2) })
  }
  return blocks
}

function closingBrace(found: readonly Token[], open: number): number {
  let depth = 0
  for (let i = open; i < found.length; i += 1) {
    const token = found[i]
    if (token?.kind !== 'mark') continue
    if (token.text === '{') depth += 1
    if (token.text === '}') depth -= 1
    if (depth === 0) return i
  }
  return found.length - 1
}

function nestedNamespaces(file: SourceFile, found: readonly Token[]): readonly Diagnostic[] {
  return found
    .filter(
      (token, i) =>
        token.text === 'namespace' && found[i + 1]?.text === 'Warder' && found[i + 2]?.text === '::',
    )
    .map((token) =>
      diagnosticAt(file, token.start, {
        code: 'schema.warder_namespace',
        message: 'namespaces inside `Warder` are reserved',
        help: 'choose a namespace of your own',
      }),
    )
}

/** Names and source text of the attributes of `CallContext` in our schema. */
function contextOf(text: string, found: readonly Token[]) {
  const at = found.findIndex(
    (token, i) => token.text === 'type' && found[i + 1]?.text === 'CallContext' && found[i + 3]?.text === '{',
  )
  if (at === -1) throw new TypeError('the shipped schema has no type CallContext')
  const body = found.slice(at + 4, closingBrace(found, at + 3))
  const names = new Set(attributeNames(body).map((name) => name.name))
  const source = body.map((token) => text.slice(token.start, token.end)).join(' ')
  return { names, source: source.endsWith(',') ? source : `${source},` }
}

function matches(open: Token | undefined, close: Token): boolean {
  return open !== undefined && '([{<'.indexOf(open.text) === ')]}>'.indexOf(close.text)
}

function unbalanced(file: SourceFile, token: Token): Diagnostic {
  return diagnosticAt(file, token.start, {
    code: 'schema.syntax',
    message: `the bracket \`${token.text}\` has no counterpart`,
  })
}

/** `text` as a Cedar string literal. */
function cedarString(text: string): string {
  const escaped = text.replace(/["\\]|[^\P{C}]|[\u2028\u2029]/gu, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
  return `"${escaped}"`
}
