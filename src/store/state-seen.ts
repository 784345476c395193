import { randomUUID } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomically } from '#admin/write-file.ts'
import type { RolledBack } from '#model/state.ts'
import { codeOf } from './faults.ts'
import type { Position } from './position.ts'
import { withProcessLock } from './process-lock.ts'

/** What a position means beside everything that was seen before. */
export interface Comparison {
  readonly rolledBack: RolledBack | undefined
  /** Changes when an operator accepts an older database: from then on versions count anew. */
  readonly acknowledgement: string | undefined
}

/** The memory of an installation for the versions that it has seen, kept in its data folder. */
export interface StateSeen {
  /** Compares and remembers `position`. Once it is found rolled back, that stays until an operator acknowledges it. */
  compare(position: Position): Promise<Comparison>
  close(): Promise<void>
}

interface Entry {
  readonly version: number
  readonly rolled_back_to?: number
  readonly acknowledged?: string
}

type Entries = Readonly<Record<string, Entry>>

const FILE = 'state-seen.json'
const SAVE_MILLISECONDS = 1_000
const LOCK_WAIT_MILLISECONDS = 5_000

/**
 * Opens the memory in `dataDirectory`. Rising versions are saved at most once a second, a roll-back at once.
 * @param onFault told when it could not be saved; the memory of the process goes on
 * @throws when the file is there and can't be read
 */
export async function openStateSeen(
  dataDirectory: string,
  onFault: (error: unknown) => void,
): Promise<StateSeen> {
  return new Memory(dataDirectory, onFault, await readEntries(dataDirectory))
}

class Memory implements StateSeen {
  readonly #dataDirectory: string
  readonly #onFault: (error: unknown) => void
  #entries: Entries
  #unsaved: string | undefined
  #savedAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(dataDirectory: string, onFault: (error: unknown) => void, entries: Entries) {
    this.#dataDirectory = dataDirectory
    this.#onFault = onFault
    this.#entries = entries
  }

  async compare({ database, version }: Position): Promise<Comparison> {
    let entry = this.#entries[database]
    if (entry !== undefined && isBehind(entry, version)) {
      // An operator may have accepted it meanwhile.
      await this.#adopt(database)
      entry = this.#entries[database]
    }
    if (entry === undefined || (entry.rolled_back_to === undefined && entry.version < version)) {
      entry = this.#remember(database, { ...entry, version })
      this.#saveLater(database)
    }
    if (!isBehind(entry, version)) return { rolledBack: undefined, acknowledgement: entry.acknowledged }
    if (entry.rolled_back_to === undefined) {
      entry = this.#remember(database, { ...entry, rolled_back_to: version })
      await this.#save(database)
    }
    return {
      rolledBack: { seen: entry.version, found: entry.rolled_back_to ?? version },
      acknowledgement: entry.acknowledged,
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#unsaved !== undefined) await this.#save(this.#unsaved)
    await this.#saving
  }

  #remember(database: string, entry: Entry): Entry {
    this.#entries = { ...this.#entries, [database]: entry }
    return entry
  }

  /** Takes over an acknowledgement that was written since the file was read. */
  async #adopt(database: string): Promise<void> {
    const saved = (await readEntries(this.#dataDirectory))[database]
    if (saved !== undefined && saved.acknowledged !== this.#entries[database]?.acknowledged) {
      this.#remember(database, saved)
    }
  }

  #saveLater(database: string): void {
    this.#unsaved = database
    const wait = Math.max(0, this.#savedAt + SAVE_MILLISECONDS - performance.now())
    this.#timer ??= setTimeout(() => void this.#save(database), wait).unref()
  }

  #save(database: string): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#saving = this.#saving.then(() => this.#write(database))
    return this.#saving
  }

  async #write(database: string): Promise<void> {
    this.#savedAt = performance.now()
    try {
      await locked(this.#dataDirectory, async () => {
        await this.#adopt(database)
        const mine = this.#entries[database]
        // Servers that share the folder have each seen something.
        const saved = await readEntries(this.#dataDirectory)
        const other = saved[database]
        if (mine === undefined || (other !== undefined && covers(other, mine))) return
        const merged = { ...other, ...mine, version: Math.max(mine.version, other?.version ?? 0) }
        await writeEntries(this.#dataDirectory, { ...saved, [database]: merged })
      })
      this.#unsaved = undefined
    } catch (error) {
      this.#onFault(error)
    }
  }
}

function isBehind(entry: Entry, version: number): boolean {
  return entry.rolled_back_to !== undefined || version < entry.version
}

function covers(saved: Entry, mine: Entry): boolean {
  return (
    saved.version >= mine.version && (mine.rolled_back_to === undefined || saved.rolled_back_to !== undefined)
  )
}

/**
 * Accepts the database at `position` as it is: it is the new base line of this data folder.
 * @param record called before that takes effect, so that nothing is accepted without a record
 * @returns what was seen before; undefined when nothing had to be accepted
 */
export async function acknowledgePosition(
  dataDirectory: string,
  { database, version }: Position,
  record: (rolledBack: RolledBack) => Promise<void>,
): Promise<RolledBack | undefined> {
  return await locked(dataDirectory, async () => {
    const entries = await readEntries(dataDirectory)
    const entry = entries[database]
    if (entry === undefined || !isBehind(entry, version)) return undefined
    const rolledBack = { seen: entry.version, found: entry.rolled_back_to ?? version }
    await record(rolledBack)
    await writeEntries(dataDirectory, { ...entries, [database]: { version, acknowledged: randomUUID() } })
    return rolledBack
  })
}

/** Servers and commands that share the folder read, change and write the file one after the other. */
async function locked<T>(dataDirectory: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dataDirectory, { recursive: true })
  return await withProcessLock(join(dataDirectory, `${FILE}.lock`), LOCK_WAIT_MILLISECONDS, work)
}

async function writeEntries(dataDirectory: string, entries: Entries): Promise<void> {
  const written = await writeFileAtomically(
    join(dataDirectory, FILE),
    `${JSON.stringify(entries, null, 2)}\n`,
  )
  if (!written.ok) throw new Error(written.failure.message)
}

async function readEntries(dataDirectory: string): Promise<Entries> {
  const path = join(dataDirectory, FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {}
    throw error
  }
  const entries = parseEntries(text)
  if (entries === undefined) {
    throw new Error(
      `${path} is damaged: make sure that the database is not an old copy, then remove the file`,
    )
  }
  return entries
}

function parseEntries(text: string): Entries | undefined {
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined
    return Object.values(found).every(isEntry) ? (found as Entries) : undefined
  } catch {
    return undefined
  }
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return false
  const { version, rolled_back_to: found, acknowledged } = value as Partial<Record<keyof Entry, unknown>>
  return (
    Number.isSafeInteger(version) &&
    (found === undefined || Number.isSafeInteger(found)) &&
    (acknowledged === undefined || typeof acknowledged === 'string')
  )
}
