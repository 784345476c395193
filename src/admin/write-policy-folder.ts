import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { failed, type Result, success } from '#lib/result.ts'
import type { SourceFile } from '#model/release.ts'
import { areaOf } from '#policy/compile/check-folder.ts'
import { type AdminFailure, invalid, refused } from './failure.ts'
import { writeFileAtomically } from './write-file.ts'

const TESTS = 'tests'

/**
 * Makes `directory` hold exactly `files` as its policies, schemas and tests; it is made when it is missing. Other files
 * stay. Only with `force` may it hold anything before; policy files of it that are not in `files` are then removed.
 */
export async function writePolicyFolder(
  directory: string,
  files: readonly SourceFile[],
  force: boolean,
): Promise<Result<{ readonly removed: readonly string[] }, AdminFailure>> {
  // INVARIANT: a name that leads out of the folder is never written, wherever the files come from.
  if (files.some((file) => areaOf(file) === undefined))
    return failed(invalid('release.invalid', 'the release has a file name that no folder can hold'))
  const present = await list(directory)
  if (present.some((name) => !name.startsWith('.')) && !force)
    return failed(
      refused(
        'folder.not_empty',
        `the folder ${directory} is not empty`,
        'name an empty one, or add `--force`',
      ),
    )
  const tests = await list(join(directory, TESTS))
  const wanted = new Set(files.map(({ name }) => name))
  const removed = [...present, ...tests.map((name) => `${TESTS}/${name}`)].filter(
    (name) => !name.startsWith('.') && areaOf({ name, text: '' }) !== undefined && !wanted.has(name),
  )
  const made = await makeFolders(directory, files)
  if (!made.ok) return made
  for (const { name, text } of files) {
    const written = await writeFileAtomically(join(directory, name), text)
    if (!written.ok) return written
  }
  for (const name of removed) await rm(join(directory, name), { force: true })
  return success({ removed })
}

async function makeFolders(
  directory: string,
  files: readonly SourceFile[],
): Promise<Result<undefined, AdminFailure>> {
  const hasTests = files.some(({ name }) => name.startsWith(`${TESTS}/`))
  try {
    await mkdir(hasTests ? join(directory, TESTS) : directory, { recursive: true })
    return success(undefined)
  } catch {
    return failed(invalid('file.unwritable', `the folder ${directory} can not be made`))
  }
}

/** Names of the files in a folder; none where there is no folder. Folders count only at the top, as something that is there. */
async function list(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory, { withFileTypes: true })).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    )
  } catch {
    return []
  }
}
