import { randomUUID } from 'node:crypto'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { failed, type Result, success } from '#lib/result.ts'
import { type AdminFailure, invalid } from './failure.ts'

const NEW_FILE_MODE = 0o644

/**
 * Writes `text` as the whole of the file `path`: readers see the old or the new text, never a part, also after a crash.
 * A link stays a link, and an existing file keeps its mode.
 */
export async function writeFileAtomically(
  path: string,
  text: string,
): Promise<Result<undefined, AdminFailure>> {
  const target = await realpath(path).catch(() => path)
  const mode = await stat(target).then(
    (known) => known.mode & 0o777,
    () => NEW_FILE_MODE,
  )
  const draft = join(dirname(target), `.warder-${randomUUID()}.tmp`)
  try {
    await writeDurably(draft, text, mode)
    await rename(draft, target)
    return success(undefined)
  } catch (fault) {
    await rm(draft, { force: true }).catch(() => undefined)
    const reason = fault instanceof Error && 'code' in fault ? ` (${fault.code})` : ''
    return failed(invalid('file.unwritable', `the file ${path} can not be written${reason}`))
  }
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
