import type { SourceFile } from '#model/release.ts'
import { utf16Index } from './diagnostic.ts'

/** A stretch of text that was put into another one, and where it came from. */
export interface Piece {
  readonly text: string
  readonly file: SourceFile
  /** UTF-16 index in `file` of the first character; of the place that caused it, when the text is made by us. */
  readonly offset: number
  /** Text of our own: every position in it means `offset`. */
  readonly generated: boolean
}

/** A place in a file. */
export interface Place {
  readonly file: SourceFile
  readonly offset: number
}

/** The text that all pieces give, in order. */
export function joinPieces(pieces: readonly Piece[]): string {
  return pieces.map((piece) => piece.text).join('')
}

/** Where the engine's UTF-8 byte offset into `joinPieces(pieces)` lies in the author's files. */
export function placeOf(pieces: readonly Piece[], byteOffset: number): Place | undefined {
  let index = utf16Index(joinPieces(pieces), byteOffset)
  for (const piece of pieces) {
    if (index < piece.text.length)
      return { file: piece.file, offset: piece.offset + (piece.generated ? 0 : index) }
    index -= piece.text.length
  }
  const last = pieces.at(-1)
  return last === undefined
    ? undefined
    : { file: last.file, offset: last.offset + (last.generated ? 0 : last.text.length) }
}
