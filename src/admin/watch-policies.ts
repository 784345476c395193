import { type FSWatcher, watch as watchFolder } from 'node:fs'
import { join } from 'node:path'
import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
import type { Diagnostic } from '#policy/compile/diagnostic.ts'
import { fingerprintFolder, readPolicyFolder, readShippedPolicies } from './policy-folder.ts'
import type { AdminStore } from './ports.ts'
import { type PushedRelease, pushRelease } from './push-release.ts'

/** What became of one state of the folder. */
export type WatchEvent =
  | { readonly kind: 'active'; readonly pushed: PushedRelease; readonly warnings: readonly Diagnostic[] }
  /** The folder has errors; what was active stays active. */
  | { readonly kind: 'refused'; readonly diagnostics: readonly Diagnostic[] }
  /** The folder or the database could not be used; tried again until it works. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

/** What is watched and who is told. */
export interface WatchOptions {
  readonly store: AdminStore
  readonly tenant: string
  readonly directory: string
  readonly onEvent: (event: WatchEvent) => void
}

/** A folder that is being watched. */
export interface PolicyWatch {
  /** Stops; a compilation that runs is waited for. */
  close(): Promise<void>
}

/** Files of one save arrive one after another; the folder must be still for this long. */
const STILL_MILLISECONDS = 150
/** Network file systems and containers report no changes, so the folder is also looked at this often. */
const LOOK_MILLISECONDS = 1_000
const COMPILE_MILLISECONDS = 300_000

/**
 * Publishes the folder now and after every change of it: compiled in a worker, pushed and activated through the database
 * like any other release. A folder with errors never replaces what is active.
 */
export function watchPolicies(options: WatchOptions): PolicyWatch {
  const bell = new Bell()
  const closed = new AbortController()
  const folders = new Folders([options.directory, join(options.directory, 'tests')], () => bell.ring())
  const running = run(options, bell, folders, closed.signal)
  return {
    close: async () => {
      closed.abort()
      bell.ring()
      await running
      folders.close()
    },
  }
}

async function run(options: WatchOptions, bell: Bell, folders: Folders, closed: AbortSignal): Promise<void> {
  let seen: string | undefined
  let failure = ''
  while (!closed.aborted) {
    folders.attach()
    const print = await stillFingerprint(options.directory, closed)
    if (print !== seen && !closed.aborted) {
      const event = await publish(options)
      // What failed is tried again at the next look, and told once.
      seen = event.kind === 'failed' ? undefined : print
      const told = event.kind === 'failed' ? event.message : ''
      if (event.kind !== 'failed' || told !== failure) options.onEvent(event)
      failure = told
    }
    await bell.wait(LOOK_MILLISECONDS, closed)
  }
}

async function publish({ store, tenant, directory }: WatchOptions): Promise<WatchEvent> {
  try {
    const [files, shipped] = await Promise.all([readPolicyFolder(directory), readShippedPolicies()])
    if (!files.ok) return { kind: 'failed', code: files.failure.code, message: files.failure.message }
    const outcome = await compileInWorker(
      { files: files.value, ...shipped },
      { timeoutMilliseconds: COMPILE_MILLISECONDS },
    )
    // INVARIANT: only what compiled without an error is pushed.
    if (!outcome.ok) return { kind: 'refused', diagnostics: outcome.diagnostics }
    const { release, warnings } = outcome
    const pushed = await pushRelease(store, { tenant, release, activate: true })
    if (pushed.ok) return { kind: 'active', pushed: pushed.value, warnings }
    return { kind: 'failed', code: pushed.failure.code, message: pushed.failure.message }
  } catch (fault) {
    const reason = fault instanceof Error ? fault.name : 'unknown fault'
    return {
      kind: 'failed',
      code: 'database.unavailable',
      message: `the release could not be stored (${reason})`,
    }
  }
}

async function stillFingerprint(directory: string, closed: AbortSignal): Promise<string> {
  let before = await fingerprintFolder(directory)
  for (;;) {
    await new Bell().wait(STILL_MILLISECONDS, closed)
    const now = await fingerprintFolder(directory)
    if (now === before || closed.aborted) return now
    before = now
  }
}

/** Wakes one waiter; a ring that nobody waits for is kept. */
class Bell {
  #rung = false
  #wake: () => void = () => undefined

  ring(): void {
    this.#rung = true
    this.#wake()
  }

  async wait(milliseconds: number, closed: AbortSignal): Promise<void> {
    if (!this.#rung && !closed.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#rung = false
  }
}

/** Listens for changes in folders that may come and go. */
class Folders {
  readonly #paths: readonly string[]
  readonly #onChange: () => void
  readonly #watchers = new Map<string, FSWatcher>()

  constructor(paths: readonly string[], onChange: () => void) {
    this.#paths = paths
    this.#onChange = onChange
  }

  attach(): void {
    for (const path of this.#paths) {
      if (this.#watchers.has(path)) continue
      try {
        const watcher = watchFolder(path, { persistent: false }, this.#onChange)
        watcher.on('error', () => this.#drop(path))
        this.#watchers.set(path, watcher)
      } catch {
        // Not there, or not to be watched here: then the regular look finds changes.
      }
    }
  }

  close(): void {
    for (const path of this.#paths) this.#drop(path)
  }

  #drop(path: string): void {
    this.#watchers.get(path)?.close()
    this.#watchers.delete(path)
  }
}
