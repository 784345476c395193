import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newSetKey } from '#identity/set-signer.ts'

/**
 * The private key that this server signs security events with, made on first use and kept in the data folder (mode 0600);
 * servers on other folders have keys of their own, and all are published.
 *
 * @throws when the data folder can't be written
 */
export async function signalKey(dataDirectory: string): Promise<string> {
  const path = join(dataDirectory, 'signal-key.json')
  await mkdir(dataDirectory, { recursive: true })
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  if (kept !== undefined) return kept
  try {
    await writeFile(path, await newSetKey(), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    // Another process of this folder was first.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return await readFile(path, 'utf8')
}
