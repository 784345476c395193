import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServeOptions } from '#cli/options.ts'
import { runCli } from '#cli/run.ts'
import { readConfig } from '../../src/config.ts'

/** What a command left behind. */
export interface Ran {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs commands in process against the database of one folder. */
export type Run = (args: readonly string[], changed?: RunChanges) => Promise<Ran>

/** What one run does differently. */
export interface RunChanges {
  readonly env?: { readonly [variable: string]: string }
  readonly signal?: AbortSignal
  readonly onOutput?: (text: string) => void
}

/** A data folder of its own; embedded Postgres may have to read it as another user, so it lies directly under tmp. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'warder-cli-'))
  chmodSync(path, 0o755)
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A `Run` on the data folder `dataDirectory`. */
export function runner(
  dataDirectory: string,
  serve: (options: ServeOptions) => Promise<void> = async () => undefined,
): Run {
  return async (args, { env = {}, signal, onOutput } = {}) => {
    const out = { stdout: '', stderr: '' }
    const exit = await runCli(args, {
      serve,
      env: { WARDER_DATA_DIR: dataDirectory, ...env },
      readConfig,
      version: '1.2.3',
      stdout: {
        write: (text) => {
          out.stdout += text
          onOutput?.(text)
        },
      },
      stderr: {
        write: (text) => {
          out.stderr += text
        },
      },
      signal,
    })
    return { exit, ...out }
  }
}
