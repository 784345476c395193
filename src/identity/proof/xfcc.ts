/** One hop of `X-Forwarded-Client-Cert`: values by lower-case name. */
export type XfccElement = ReadonlyMap<string, string>

const ELEMENTS_MAX = 16

/**
 * The hops of an `X-Forwarded-Client-Cert` header, nearest last: elements with commas between, pairs with semicolons, values
 * in quotes where they contain either. Undefined when it is anything else, or an element names `Hash`, `Cert` or `Chain` twice.
 *
 * @see Envoy, HTTP connection manager, "x-forwarded-client-cert"
 */
export function parseXfcc(header: string): readonly XfccElement[] | undefined {
  const elements: XfccElement[] = []
  for (const text of splitOutsideQuotes(header, ',') ?? ['']) {
    const element = parseElement(text)
    if (element === undefined || elements.length === ELEMENTS_MAX) return undefined
    elements.push(element)
  }
  return elements
}

function parseElement(text: string): XfccElement | undefined {
  const found = new Map<string, string>()
  for (const pair of splitOutsideQuotes(text, ';') ?? ['']) {
    const [, name, value] = /^\s*([A-Za-z]+)=(.*?)\s*$/s.exec(pair) ?? []
    if (name === undefined || value === undefined) return undefined
    const plain = unquote(value)
    const key = name.toLowerCase()
    // A certificate can have several names, but it is only one.
    const isRepeatable = key === 'uri' || key === 'dns'
    if (plain === undefined || (found.has(key) && !isRepeatable)) return undefined
    if (!found.has(key)) found.set(key, plain)
  }
  return found
}

/** The parts between `separator`; undefined when a quote is left open. */
function splitOutsideQuotes(text: string, separator: string): readonly string[] | undefined {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (isQuoted && char === '\\') i++
    else if (char === '"') isQuoted = !isQuoted
    else if (char === separator && !isQuoted) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  if (isQuoted) return undefined
  return [...parts, text.slice(start)]
}

function unquote(value: string): string | undefined {
  if (!value.includes('"')) return value
  const [, inner] = /^"((?:[^"\\]|\\.)*)"$/s.exec(value) ?? []
  return inner?.replace(/\\(.)/gs, '$1')
}
