import type { SourceFile } from '#model/release.ts'
import { compareText } from './release-id.ts'
import { type Token, tokens } from './tokens.ts'

/** A declaration that is in one schema only, or in both with another content. */
export interface SchemaChange {
  readonly change: 'added' | 'removed' | 'changed'
  /** Such as `namespace Warder: action "github/list_repos"`. */
  readonly declaration: string
}

/** What differs between the declarations of two sets of `*.cedarschema` files; comments, layout and order do not count. */
export function diffSchema(
  before: readonly SourceFile[],
  after: readonly SourceFile[],
): readonly SchemaChange[] {
  const [old, fresh] = [declarationsOf(before), declarationsOf(after)]
  const names = [...new Set([...old.keys(), ...fresh.keys()])].toSorted(compareText)
  return names.flatMap((declaration): readonly SchemaChange[] => {
    const [left, right] = [old.get(declaration), fresh.get(declaration)]
    if (left === right) return []
    if (left === undefined) return [{ change: 'added', declaration }]
    return [{ change: right === undefined ? 'removed' : 'changed', declaration }]
  })
}

interface Declaration {
  readonly name: string
  readonly content: string
}

/** The content of each declaration by its name. */
function declarationsOf(files: readonly SourceFile[]): ReadonlyMap<string, string> {
  const found = new Map<string, string[]>()
  for (const file of files) {
    for (const { name, content } of readDeclarations(file)) {
      const known = found.get(name)
      if (known === undefined) found.set(name, [content])
      else known.push(content)
    }
  }
  return new Map([...found].map(([name, contents]) => [name, contents.toSorted(compareText).join('\n')]))
}

function readDeclarations(file: SourceFile): readonly Declaration[] {
  return split([...tokens(file.text)].filter(({ kind }) => kind !== 'comment')).flatMap((part) => {
    const open = part.findIndex(({ text }) => text === '{')
    if (!isNamespace(part)) return [{ name: joined(nameOf(part)), content: joined(part) }]
    const namespace = joined(part.slice(part.findIndex(isNamespaceWord), open))
    return split(part.slice(open + 1, -1)).map((inner) => ({
      name: `${namespace}: ${joined(nameOf(inner))}`,
      content: joined(inner),
    }))
  })
}

/** Splits at each `;` outside of brackets, and after the body of a namespace. */
function split(list: readonly Token[]): readonly (readonly Token[])[] {
  const parts: (readonly Token[])[] = []
  let depth = 0
  let start = 0
  for (const [i, { kind, text }] of list.entries()) {
    if (kind !== 'mark') continue
    if (text === '{') depth += 1
    if (text === '}') depth -= 1
    const isEnd = depth === 0 && (text === ';' || (text === '}' && isNamespace(list.slice(start, i))))
    if (!isEnd) continue
    parts.push(list.slice(start, i + 1))
    start = i + 1
  }
  return parts
}

function isNamespace(part: readonly Token[]): boolean {
  return part
    .slice(
      0,
      part.findIndex(({ text }) => text === '{'),
    )
    .some(isNamespaceWord)
}

function isNamespaceWord({ kind, text }: Token): boolean {
  return kind === 'word' && text === 'namespace'
}

/** Where the name of a declaration ends; `entity in` and the like keep their second word. */
const CLAUSES = new Set(['in', 'appliesTo', 'enum', 'tags', 'attributes', '=', '{', ';'])

function nameOf(declaration: readonly Token[]): readonly Token[] {
  const start = declaration.findLastIndex(
    ({ kind, text }, i) =>
      kind === 'word' && ['entity', 'action', 'type'].includes(text) && isStart(declaration, i),
  )
  const from = Math.max(0, start)
  const end = declaration.findIndex(
    ({ kind, text }, i) => i > from + 1 && kind !== 'string' && CLAUSES.has(text),
  )
  return declaration.slice(from, end === -1 ? undefined : end)
}

/** A keyword begins the declaration or follows the annotations. */
function isStart(declaration: readonly Token[], i: number): boolean {
  return i === 0 || (declaration[i - 1]?.text === ')' && declaration[0]?.text === '@')
}

function joined(list: readonly Token[]): string {
  return list.map(({ text }) => text).join(' ')
}
