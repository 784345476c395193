import type { Json } from '#model/value.ts'

/** Parts of member names that hold secrets, compared in lower case without `_`, `-`, `.` and spaces. */
const SENSITIVE_PARTS =
  /passw(?:or)?d|passphrase|passcode|secret|token|authorization|apikey|accesskey|privatekey|signingkey|encryptionkey|cookie|credential|bearer|jwt|dpop|sessionid|otp$|^pin$|cvv|cvc$|^auth$/
const COUNT_OF_TOKENS = /tokens?(?:count|limit|max)?$|^(?:max|min|num)tokens?/

/** How every JWT begins: `{"` in base64url. */
const JWT_START = 'eyJ'
const JWT_HEAD_MIN = JWT_START.length + 4
const JWT_BODY_MIN = 4
/** Long enough to hold a JWT. One class without alternatives: each character is looked at a bounded number of times. */
const DOTTED_RUN = /[\w.-]{12,}/g

/**
 * Other text that is a credential by its looks: authorization values, private keys, well-known key prefixes, ours too.
 *
 * INVARIANT: time grows linearly with the text. Callers choose it, up to the size of a body, and a search that starts
 * again at each place where a credential could begin takes hours for one.
 */
const CREDENTIALS = [
  /\b(?:bearer|basic|dpop|gnap|negotiate) +[\w.~+/=-]{8,}/gi,
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g,
  /\b(?:gh[pousr]|github_pat|glpat|xox[abeoprs])[-_][\w-]{16,}/g,
  /\b(?:[srp]k[-_](?:live|test|proj|ant)[-_][\w-]{8,}|sk-[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{36})/g,
  /\b(?:wgk|wat|wak|wrk|wss)_[\w-]{16,}/g,
  /\bA(?:KIA|SIA)[A-Z0-9]{16}\b/g,
  /\bAIza[\w-]{35}/g,
]
/** Shorter text holds none of them; most strings are shorter. */
const CREDENTIAL_CHARACTERS_MIN = 13

/** Whether a member of this name is masked whatever its value. A number of LLM tokens (`max_tokens`) is not a secret. */
export function isSensitiveName(name: string, value: Json): boolean {
  if (value === null || typeof value === 'boolean') return false
  const plain = name.toLowerCase().replaceAll(/[\s._-]/g, '')
  if (!SENSITIVE_PARTS.test(plain)) return false
  return !(typeof value === 'number' && COUNT_OF_TOKENS.test(plain))
}

/** Whether `text` contains something that looks like a credential. */
export function hasSecret(text: string): boolean {
  return (
    text.length >= CREDENTIAL_CHARACTERS_MIN &&
    (hasJwt(text) || CREDENTIALS.some((pattern) => text.search(pattern) !== -1))
  )
}

/** `text` with every part that looks like a credential replaced by `[masked]`. */
export function withoutSecrets(text: string): string {
  if (!hasSecret(text)) return text
  const rest = text.replaceAll(DOTTED_RUN, withoutJwt)
  return CREDENTIALS.reduce((masked, pattern) => masked.replaceAll(pattern, '[masked]'), rest)
}

function hasJwt(text: string): boolean {
  if (!text.includes(JWT_START)) return false
  for (const [run] of text.matchAll(DOTTED_RUN)) if (jwtStart(run) !== -1) return true
  return false
}

function withoutJwt(run: string): string {
  const start = jwtStart(run)
  return start === -1 ? run : `${run.slice(0, start)}[masked]`
}

/** Where the first JWT of a run of base64url and dots begins, or -1. It ends where the run ends. */
function jwtStart(run: string): number {
  const segments = run.split('.')
  let offset = 0
  for (const [i, segment] of segments.entries()) {
    const at = segment.indexOf(JWT_START)
    const body = segments[i + 1]?.length ?? 0
    if (at !== -1 && segment.length - at >= JWT_HEAD_MIN && body >= JWT_BODY_MIN) return offset + at
    offset += segment.length + 1
  }
  return -1
}
