import type { ASTNode } from '@marcbachmann/cel-js'
import { childrenOf } from './language.ts'

/** What an expression reads of its inputs. */
export interface Reads {
  readonly token: boolean
  readonly params: boolean
  /** Names of arguments of the call; `all` where it can't be told which. */
  readonly arguments: ReadonlySet<string> | 'all'
}

/** Nothing at all. */
export const NO_READS: Reads = { token: false, params: false, arguments: new Set() }

/** What both read. */
export function unite(a: Reads, b: Reads): Reads {
  return {
    token: a.token || b.token,
    params: a.params || b.params,
    arguments:
      a.arguments === 'all' || b.arguments === 'all' ? 'all' : new Set([...a.arguments, ...b.arguments]),
  }
}

/** Whether the argument of this name is among what is read. */
export function readsArgument({ arguments: read }: Reads, name: string): boolean {
  return read === 'all' || read.has(name)
}

/** INVARIANT: never says less than what is read; a member that is not named by a literal is every member. */
export function readsOf(node: ASTNode): Reads {
  const path = pathOf(node)
  if (path !== undefined) return ofPath(path)
  return childrenOf(node).map(readsOf).reduce(unite, NO_READS)
}

/** `params.arguments.id` as its names; undefined for anything but members of a variable. */
function pathOf(node: ASTNode): readonly string[] | undefined {
  if (node.op === 'id') return [node.args]
  if (node.op !== '.' && node.op !== '.?' && node.op !== '[]' && node.op !== '[?]') return undefined
  const [object, member] = node.args
  const name = typeof member === 'string' ? member : member.op === 'value' ? member.args : undefined
  const before = pathOf(object)
  return before === undefined || typeof name !== 'string' ? undefined : [...before, name]
}

function ofPath([variable, member, argument]: readonly string[]): Reads {
  if (variable === 'token') return { ...NO_READS, token: true }
  if (variable !== 'params') return NO_READS
  if (member !== undefined && member !== 'arguments') return { ...NO_READS, params: true }
  return {
    token: false,
    params: true,
    arguments: member === undefined || argument === undefined ? 'all' : new Set([argument]),
  }
}
