import type { Json } from '#model/value.ts'

/** Parts of member names that hold secrets, compared in lower case without `_`, `-`, `.` and spaces. */
const SENSITIVE_PARTS =
  /passw(?:or)?d|passphrase|passcode|secret|token|authorization|apikey|accesskey|privatekey|signingkey|encryptionkey|cookie|credential|bearer|jwt|dpop|sessionid|otp$|^pin$|cvv|cvc$|^auth$/
const COUNT_OF_TOKENS = /tokens?(?:count|limit|max)?$|^(?:max|min|num)tokens?/

/** Text that is a credential by its looks: JWTs, authorization values, private keys, well-known key prefixes, ours too. */
const CREDENTIALS = [
  /eyJ[\w-]{4,}\.[\w-]{4,}(?:\.[\w-]*)*/g,
  /\b(?:bearer|basic|dpop|gnap|negotiate) +[\w.~+/=-]{8,}/gi,
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g,
  /\b(?:gh[pousr]|github_pat|glpat|xox[abeoprs])[-_][\w-]{16,}/g,
  /\b(?:[srp]k[-_](?:live|test|proj|ant)[-_][\w-]{8,}|sk-[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{36})/g,
  /\b(?:wgk|wat)_[\w-]{16,}/g,
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
    text.length >= CREDENTIAL_CHARACTERS_MIN && CREDENTIALS.some((pattern) => text.search(pattern) !== -1)
  )
}

/** `text` with every part that looks like a credential replaced by `[masked]`. */
export function withoutSecrets(text: string): string {
  if (!hasSecret(text)) return text
  return CREDENTIALS.reduce((rest, pattern) => rest.replaceAll(pattern, '[masked]'), text)
}
