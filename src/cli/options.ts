import type { Result } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'

/** Where text goes: a stream, or whatever a test collects with. */
export interface Sink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  on?(event: 'error', listener: (fault: Error) => void): unknown
  /** Told when a write that returned false may go on. */
  once?(event: 'drain', listener: () => void): unknown
}

/** What the commands need to know of the configuration. */
export interface CliSettings {
  readonly databaseUrl: string | undefined
  readonly dataDirectory: string
  readonly secretKeyFile: string | undefined
  readonly adminListen: { readonly host: string; readonly port: number }
  readonly tlsCertificate: string | undefined
  readonly tlsListeners: readonly string[]
}

/** One reason why the environment can't be used. */
export interface SettingProblem {
  readonly variable: string
  readonly message: string
  readonly help: string
}

/** A policy folder that a server publishes from while it runs. */
export interface WatchedFolder {
  readonly directory: string
  readonly tenant: TenantId
  /** Findings are printed as JSON lines. */
  readonly json: boolean
}

/** How a server is to run, beside its settings. */
export interface ServeOptions {
  readonly watched: WatchedFolder | undefined
  /** In place of WARDER_WORKERS. */
  readonly workers: string | undefined
}

/** What the process gives to its commands. */
export interface CliOptions {
  /** Runs the server until it has stopped. */
  readonly serve: (options: ServeOptions) => Promise<void>
  readonly env: { readonly [variable: string]: string | undefined }
  readonly readConfig: (
    env: Record<string, string | undefined>,
  ) => Result<CliSettings, readonly SettingProblem[]>
  /** Of the installation, for `--version`. */
  readonly version: string
  readonly stdout: Sink
  readonly stderr: Sink
  /** Ends `logs tail`; without one it runs until the process ends. */
  readonly signal?: AbortSignal | undefined
}
