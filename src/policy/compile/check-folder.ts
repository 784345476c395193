import type { SourceFile } from '#model/release.ts'
import { checkText } from './check-text.ts'
import { type Diagnostic, diagnosticAt } from './diagnostic.ts'
import { LIMITS } from './limits.ts'
import { sortedByName } from './release-id.ts'

/** What a file of a folder is, by its name; undefined when it has no place there. */
export function areaOf(file: SourceFile): 'policy' | 'schema' | 'test' | undefined {
  if (file.name.length > 512 || /\p{Cc}/u.test(file.name)) return undefined
  if (/^tests\/[^/]+\.json$/.test(file.name)) return 'test'
  if (/^[^/]+\.cedar$/.test(file.name)) return 'policy'
  return /^[^/]+\.cedarschema$/.test(file.name) ? 'schema' : undefined
}

/** Checks sizes, names and the text of all files; with an error here none of them may be parsed. */
export function checkFolder(input: {
  readonly files: readonly SourceFile[]
  readonly guardrails: readonly SourceFile[]
}): readonly Diagnostic[] {
  const { files, guardrails } = input
  const characters = [...files, ...guardrails].reduce((sum, file) => sum + file.text.length, 0)
  if (files.length > LIMITS.files || characters > LIMITS.totalCharacters)
    return [
      diagnosticAt({ name: files[0]?.name ?? '', text: '' }, 0, {
        code: 'policy.total_too_large',
        message: `the folder has ${files.length} files with ${characters} characters; the limits are ${LIMITS.files} and ${LIMITS.totalCharacters}`,
      }),
    ]
  const found = guardrails.flatMap((file) => checkText(file, 'policy'))
  const seen = new Set<string>()
  for (const file of sortedByName(files)) {
    const area = areaOf(file)
    if (area !== undefined && !seen.has(file.name)) found.push(...checkText(file, area))
    else
      found.push(
        diagnosticAt({ name: file.name, text: '' }, 0, {
          code: 'policy.file_name',
          message:
            area === undefined ? 'the file has no place in a policy folder' : 'two files have this name',
          help: 'a folder holds `*.cedar`, `*.cedarschema` and `tests/*.json`',
        }),
      )
    seen.add(file.name)
  }
  return found
}
