import { type Element, elementsIn, readElements, TAG } from './der.ts'

/** Names of a certificate by their form: the tag of `GeneralName` (RFC 5280 section 4.2.1.6). */
export type Names = readonly Element[]

/** What the certificates below an authority may be named (RFC 5280 section 4.2.1.10). */
export interface NameConstraints {
  readonly permitted: Names
  readonly excluded: Names
}

const URI = 0x86
const EMAIL = 0x81
const DIRECTORY = 0xa4
const PERMITTED = 0xa0
const EXCLUDED = 0xa1
const HOST_BASE = /^\.?[A-Za-z0-9._-]*$/

/** The alternative names, and the subject as the names that it counts for; undefined when they can't be read. */
export function namesIn(alternative: Element | undefined, subject: string | undefined): Names | undefined {
  const listed = alternative === undefined ? [] : elementsIn(alternative, TAG.sequence)
  if (listed === undefined) return undefined
  const content = new Uint8Array()
  const hasSubject = subject !== undefined && subject !== ''
  return [
    ...listed,
    ...(hasSubject ? [{ tag: DIRECTORY, content }] : []),
    ...(hasSubject && /emailAddress=/i.test(subject) ? [{ tag: EMAIL, content }] : []),
  ]
}

/** Undefined where there are none. */
export function readNameConstraints(value: Element | undefined): NameConstraints | undefined | 'unreadable' {
  if (value === undefined) return undefined
  const lists = elementsIn(value, TAG.sequence)
  const [permitted, excluded] = [PERMITTED, EXCLUDED].map((tag) => subtreesIn(lists, tag))
  const isKnown = lists?.every(({ tag }) => tag === PERMITTED || tag === EXCLUDED) === true
  return isKnown && permitted !== undefined && excluded !== undefined ? { permitted, excluded } : 'unreadable'
}

function subtreesIn(lists: readonly Element[] | undefined, tag: number): Names | undefined {
  const bases: Element[] = []
  for (const list of lists?.filter((each) => each.tag === tag) ?? []) {
    const found = readElements(list.content)?.map(baseOf)
    if (found?.every((base) => base !== undefined) !== true) return undefined
    bases.push(...found)
  }
  return bases
}

/** `minimum` is always zero and `maximum` absent, so that a subtree is its base alone. A base that is no host would exclude nothing. */
function baseOf(tree: Element): Element | undefined {
  const [base, more] = elementsIn(tree, TAG.sequence) ?? []
  if (base === undefined || more !== undefined) return undefined
  return base.tag === URI && !HOST_BASE.test(textOf(base)) ? undefined : base
}

/**
 * Whether an authority with these constraints may have issued for `names`.
 *
 * INVARIANT: constraints on URIs are applied. A name of any other form that is constrained can't be judged here, so it is refused.
 */
export function mayBeNamed(names: Names, { permitted, excluded }: NameConstraints): boolean {
  return names.every((name) => {
    const allowed = permitted.filter(({ tag }) => tag === name.tag)
    const denied = excluded.filter(({ tag }) => tag === name.tag)
    if (allowed.length === 0 && denied.length === 0) return true
    const host = name.tag === URI ? hostOf(textOf(name)) : undefined
    if (host === undefined) return false
    const isWithin = (base: Element) => fits(host, textOf(base).toLowerCase())
    return !denied.some(isWithin) && (allowed.length === 0 || allowed.some(isWithin))
  })
}

/** A base with a period in front stands for every host below it, any other for the host of this name. An empty one is all hosts. */
function fits(host: string, base: string): boolean {
  return base === '' || (base.startsWith('.') ? host.endsWith(base) : host === base)
}

/** The host of a URI that has one which is a name; RFC 5280 refuses URIs without one, and with an address. */
function hostOf(uri: string): string | undefined {
  const [, host = ''] =
    /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@[\]]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri) ?? []
  return host === '' || /^[\d.]+$/.test(host) ? undefined : host.toLowerCase()
}

function textOf({ content }: Element): string {
  return Buffer.from(content).toString('latin1')
}
