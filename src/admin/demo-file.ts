import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Credentials of the demo tenant as they lie in the data folder. */
export interface DemoFile {
  readonly gatewayKey: string
  readonly adminToken: string
  /** False while the demo tenant is being made. */
  readonly complete: boolean
}

const NAME = 'demo.json'
const OWNER_ONLY = 0o600

/** The file of this data folder; undefined when there is none or it can't be understood. */
export async function readDemoFile(dataDirectory: string): Promise<DemoFile | undefined> {
  try {
    return parseDemoFile(JSON.parse(await readFile(join(dataDirectory, NAME), 'utf8')))
  } catch {
    return undefined
  }
}

/** Replaces the file as a whole; only its owner can read it. */
export async function writeDemoFile(dataDirectory: string, file: DemoFile): Promise<void> {
  await mkdir(dataDirectory, { recursive: true })
  const path = join(dataDirectory, NAME)
  const temporary = `${path}.${randomUUID()}`
  // `wx` makes the file anew, so that the mode holds and no link of somebody else is followed.
  await writeFile(temporary, `${JSON.stringify(file, null, 2)}\n`, { mode: OWNER_ONLY, flag: 'wx' })
  await rename(temporary, path)
}

/** Removes the file if there is one. */
export async function removeDemoFile(dataDirectory: string): Promise<void> {
  await rm(join(dataDirectory, NAME), { force: true })
}

function parseDemoFile(json: unknown): DemoFile | undefined {
  if (typeof json !== 'object' || json === null) return undefined
  const { gatewayKey, adminToken, complete } = json as Partial<DemoFile>
  return typeof gatewayKey === 'string' && typeof adminToken === 'string' && typeof complete === 'boolean'
    ? { gatewayKey, adminToken, complete }
    : undefined
}
