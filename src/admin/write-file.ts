import { randomUUID } from 'node:crypto'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const NEW_FILE_MODE = 0o644

/**
 * Writes `text` as the whole of the file `path`: readers see the old or the new text, never a part, also after a crash.
 * A link stays a link, and an existing file keeps its mode.
 */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const mode = await stat(target).then(
    (known) => known.mode & 0o777,
    () => NEW_FILE_MODE,
  )
  const draft = join(dirname(target), `.warder-${randomUUID()}.tmp`)
  try {
    const file = await open(draft, 'wx', mode)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, target)
  } catch (fault) {
    await rm(draft, { force: true })
    throw fault
  }
}
