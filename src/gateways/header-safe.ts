const ENCODER = new TextEncoder()
const PLAIN = /^[\x21-\x24\x26-\x7e]+$/

/** What a header says when there is nothing to say: never empty, so that a client's own copy is always replaced. */
export const NONE = 'none'

/**
 * A text as a header value: printable ASCII without blanks stays, everything else and `%` is percent-encoded as UTF-8.
 * Undefined and empty become `none`; the text `none` itself is encoded, so that nobody can pass for nobody.
 */
export function headerSafe(text: string | undefined): string {
  if (text === undefined || text === '') return NONE
  if (text.toLowerCase() === NONE) return `%${hex(text.charCodeAt(0))}${text.slice(1)}`
  return PLAIN.test(text) ? text : encode(text)
}

/** JSON in ASCII: everything else as `\u` escapes, which every JSON reader undoes. */
export function headerJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function encode(text: string): string {
  let encoded = ''
  for (const byte of ENCODER.encode(text)) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x25
    encoded += isPlain ? String.fromCharCode(byte) : `%${hex(byte)}`
  }
  return encoded
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}
