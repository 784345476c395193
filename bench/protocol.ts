import type { Kind } from './scenario.ts'

/** How decisions are logged: `off` accepts every row and forgets it. */
export type LogSetting = 'off' | 'buffer' | 'require'

/** Every setting, in the order of the report. */
export const LOG_SETTINGS: readonly LogSetting[] = ['off', 'buffer', 'require']

/** What a measured server is told when it starts, as one argument in JSON. */
export interface ServerSettings {
  readonly dataDirectory: string
  readonly database: string
  readonly log: LogSetting
  readonly kind: Kind
  readonly size: number
  /** Whether the loop inside the process asks the same requests again and again. */
  readonly repeats: boolean
  /** Needed for the loop inside the process, which has no HTTP to prove it. */
  readonly gatewayKey: string
}

/** What the server is asked over its channel. */
export type Question =
  /** `turns`: watches the turns of the event loop too, which takes a twentieth of its time. */
  | { readonly ask: 'start'; readonly turns: boolean }
  | { readonly ask: 'stop' }
  | { readonly ask: 'release' }
  /** Decides in a loop without HTTP for so long, and until there are so many decisions. */
  | { readonly ask: 'loop'; readonly milliseconds: number; readonly decisionsMin: number }

/** What a server used between `start` and `stop`. */
export interface Usage {
  readonly seconds: number
  /** CPU time of all its threads in microseconds. */
  readonly cpuMicroseconds: number
  readonly rssBytes: number
  /** Longest time between two turns of the event loop in milliseconds, on the clock. 0 where they were not watched. */
  readonly loopDelayMaxMilliseconds: number
  /** The same in CPU time of the main thread: what others on the machine take does not count. */
  readonly loopCpuMaxMilliseconds: number
  /** Rows dropped or refused by the log writer since the start. */
  readonly rowsLost: number
  /** Digest of the policies that decide now. */
  readonly release: string | undefined
}

/** What the loop inside the process found. */
export interface LoopResult extends Usage {
  readonly decisions: number
  readonly wrong: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
}

/** What a server says. */
export type Answer =
  | { readonly say: 'ready'; readonly port: number }
  | { readonly say: 'started' }
  | { readonly say: 'usage'; readonly usage: Usage }
  /** Digest of the policies that decide now. */
  | { readonly say: 'release'; readonly release: string | undefined }
  | { readonly say: 'looped'; readonly result: LoopResult }
