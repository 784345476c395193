import type { EpochSeconds } from '#lib/clock.ts'

/** One signature of a message as its two headers say it (RFC 9421 sections 4.1 and 4.2); nothing in it is verified. */
export interface MessageSignature {
  /** Names of what it covers, none twice, without parameters. */
  readonly components: readonly string[]
  readonly created: EpochSeconds
  readonly expires: EpochSeconds
  readonly nonce: string
  readonly keyId: string
  readonly tag: string
  readonly algorithm: string | undefined
  /** Value of the line `@signature-params`. */
  readonly parameters: string
  readonly signature: Uint8Array
}

/** Headers of a message, names in lower case, in order. */
export type Fields = readonly (readonly [string, string])[]

const CHARACTERS_MAX = 4_096
const INPUT = /^([a-z*][a-z0-9_.*-]*)=(\(("[^"\\ ]+"(?: "[^"\\ ]+")*)\)((?:;[a-z]+=(?:\d+|"[^"\\]*"))+))$/
const PARAMETER = /;([a-z]+)=(?:(\d+)|"([^"\\]*)")/g
const INTEGER = /^[1-9]\d{0,14}$/
const PRINTABLE = /^[\x20-\x7e]*$/
const TEXTS = ['nonce', 'keyid', 'tag', 'alg']
const TEXT_CHARACTERS_MAX = 256

/**
 * The one signature of a message. Stricter than structured fields: one label, the canonical spelling (so that the text is what was
 * signed), no parameters on components, and `created`, `expires`, `nonce`, `keyid`, `tag` are required; `alg` may be there.
 *
 * @returns undefined for anything else.
 */
export function parseSignature(fields: Fields): MessageSignature | undefined {
  const input = valuesOf(fields, 'signature-input')
  const values = valuesOf(fields, 'signature')
  if (input.length !== 1 || values.length !== 1 || (input[0] ?? '').length > CHARACTERS_MAX) return undefined
  const [, label, parameters, list, tail] = INPUT.exec(input[0] ?? '') ?? []
  if (!label || !parameters || !list || !tail || !PRINTABLE.test(parameters)) return undefined
  const [, signed, text] = /^([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]+={0,2}):$/.exec(values[0] ?? '') ?? []
  const components = list.split(' ').map((quoted) => quoted.slice(1, -1))
  if (signed !== label || text === undefined || new Set(components).size < components.length) return undefined
  const named = readParameters(tail)
  const [created, expires] = [named?.get('created'), named?.get('expires')].map(Number)
  const [nonce, keyId, tag] = ['nonce', 'keyid', 'tag'].map((name) => named?.get(name))
  if (!created || !expires || !nonce || !keyId || !tag) return undefined
  return {
    components,
    created: created as EpochSeconds,
    expires: expires as EpochSeconds,
    nonce,
    keyId,
    tag,
    algorithm: named?.get('alg'),
    parameters,
    signature: Buffer.from(text, 'base64'),
  }
}

/** Undefined where one is unknown, there twice, or of the wrong type. */
function readParameters(tail: string): ReadonlyMap<string, string> | undefined {
  const named = new Map<string, string>()
  for (const [, name = '', integer, text = ''] of tail.matchAll(PARAMETER)) {
    const isTime = name === 'created' || name === 'expires'
    const isRight = isTime
      ? integer !== undefined && INTEGER.test(integer)
      : TEXTS.includes(name) && integer === undefined && text !== '' && text.length <= TEXT_CHARACTERS_MAX
    if (!isRight || named.has(name)) return undefined
    named.set(name, integer ?? text)
  }
  return named
}

/** What was signed where the message is one of `method` to `uri` (absolute, without query); undefined when a component is not there. */
export function signatureBase(
  { components, parameters }: MessageSignature,
  message: { readonly method: string; readonly uri: string; readonly query: string; readonly fields: Fields },
): string | undefined {
  const { protocol, host, pathname } = new URL(message.uri)
  const derived: ReadonlyMap<string, string> = new Map([
    ['@method', message.method],
    ['@target-uri', message.uri + message.query],
    ['@authority', host],
    ['@scheme', protocol.slice(0, -1)],
    ['@request-target', pathname + message.query],
    ['@path', pathname],
    ['@query', message.query === '' ? '?' : message.query],
  ])
  let base = ''
  for (const name of components) {
    const value = name.startsWith('@') ? derived.get(name) : fieldOf(message.fields, name)
    // INVARIANT: a value never makes a line of its own.
    if (value === undefined || !PRINTABLE.test(value)) return undefined
    base += `"${name}": ${value}\n`
  }
  return `${base}"@signature-params": ${parameters}`
}

/** The value of a field as it is signed (RFC 9421 section 2.1); undefined without one. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  const values = valuesOf(fields, name)
  return values.length === 0 ? undefined : values.join(', ')
}

function valuesOf(fields: Fields, name: string): readonly string[] {
  return fields.filter(([each]) => each === name).map(([, value]) => value.replace(/^[ \t]+|[ \t]+$/g, ''))
}
