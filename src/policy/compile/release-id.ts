import { createHash } from 'node:crypto'
import type { ReleaseId } from '#model/ids.ts'
import type { SourceFile } from '#model/release.ts'
import { OBLIGATION_CATALOGUE_VERSION } from '#policy/obligation-catalogue.ts'

// Raised when the same files compile to something else.
const FORMAT = 'warder-release-1'

/**
 * The content address of a release: `sha256:` and the hash of schema, policies, guardrails, tests and the version of
 * the obligation catalogue. The order in which files are given does not matter.
 */
export function releaseId(
  files: readonly SourceFile[],
  guardrails: readonly SourceFile[],
  warderSchema: string,
): ReleaseId {
  const hash = createHash('sha256')
  // Length-prefixed parts: no two different contents can give the same bytes.
  const add = (part: string) => {
    const bytes = Buffer.from(part)
    hash.update(`${bytes.length}:`).update(bytes)
  }
  add(FORMAT)
  add(String(OBLIGATION_CATALOGUE_VERSION))
  add(warderSchema)
  for (const group of [files, guardrails]) {
    add(String(group.length))
    for (const file of sortedByName(group)) {
      add(file.name)
      add(file.text)
    }
  }
  return parseReleaseId(`sha256:${hash.digest('hex')}`)
}

/** Files in the order of their names (code units), the one order of everything in a release. */
export function sortedByName(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.toSorted((a, b) => compareText(a.name, b.name))
}

/** Order by code units; the same on every machine. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function parseReleaseId(text: string): ReleaseId {
  return text as ReleaseId
}
