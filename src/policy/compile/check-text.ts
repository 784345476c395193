import type { SourceFile } from '#model/release.ts'
import { type Diagnostic, diagnosticAt } from './diagnostic.ts'

// Everything that can make text look different from what the engine reads: control characters but tab and line feed,
// a carriage return that does not belong to a line end, bidirectional controls, line separators, byte order marks.
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|\r(?!\n)/g

const FINDINGS_PER_FILE_MAX = 20

/** Refuses text that is not valid Unicode or that hides something from its reader. */
export function checkText(file: SourceFile, area: 'policy' | 'schema' | 'test'): readonly Diagnostic[] {
  const broken = firstBroken(file.text)
  const findings: Diagnostic[] = []
  if (broken !== -1)
    findings.push(
      diagnosticAt(file, broken, {
        code: `${area}.encoding`,
        message: 'the file is not valid UTF-8 text',
        help: 'save it as UTF-8',
      }),
    )
  for (const match of file.text.matchAll(INVISIBLE)) {
    if (findings.length >= FINDINGS_PER_FILE_MAX) break
    const code = (match[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    findings.push(
      diagnosticAt(file, match.index, {
        code: `${area}.control_character`,
        message: `the character U+${code} is invisible or changes the direction of text`,
        help: 'remove it; inside a string write it as an escape',
      }),
    )
  }
  return findings
}

/** Index of a lone surrogate or of the replacement character that decoding leaves for invalid bytes; -1 without one. */
function firstBroken(text: string): number {
  const replaced = text.indexOf('\ufffd')
  if (text.isWellFormed()) return replaced
  for (let i = 0; i < text.length; i += 1) {
    const codePoint = text.codePointAt(i) ?? 0
    if (codePoint === 0xfffd || (codePoint >= 0xd800 && codePoint <= 0xdfff)) return i
    if (codePoint > 0xffff) i += 1
  }
  return replaced
}
