import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const BYTES = 32

/**
 * The secret of this installation, made on first use and kept in the data folder (mode 0600). It keys the digests of masked
 * values in the decision log, so that nobody who can only read the database can try guesses against them.
 *
 * @throws when the data folder can't be written, or the file is not ours
 */
export async function installationSecret(dataDirectory: string): Promise<Uint8Array> {
  const path = join(dataDirectory, 'secret.key')
  await mkdir(dataDirectory, { recursive: true })
  try {
    await writeFile(path, randomBytes(BYTES), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  const secret = await readFile(path)
  if (secret.length !== BYTES)
    throw new Error(`${path} must hold ${BYTES} bytes; remove it to make a new one`)
  return secret
}
