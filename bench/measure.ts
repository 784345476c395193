import { type HalfLoad, measureHalfLoad } from './half-load.ts'
import type { LoadTarget } from './load.ts'
import type { LogSetting, ServerSettings } from './protocol.ts'
import { type Kind, REPEAT_AFTER, type Scenario } from './scenario.ts'
import { startServerProcess } from './server-process.ts'
import { median } from './statistics.ts'
import { type WarmUp, warmUp } from './warm-up.ts'
import { openHttpWire, readWarder } from './wire.ts'

/** Numbers below were asked by the loop inside the process. */
const FIRST_OVER_HTTP = 10_000_000

/** One variant: what is asked, of how many policies, with which log. */
export interface Variant {
  readonly kind: Kind
  readonly size: number
  readonly log: LogSetting
  /** Whether the same requests come again and again; otherwise each has facts of its own. */
  readonly repeats: boolean
}

/** Everything measured on one variant in one round. */
export interface Sample {
  /** Of a decision while the server was warming up, without HTTP. */
  readonly coldCpuMicroseconds: number
  readonly loopRate: number
  readonly loopCpuMicroseconds: number
  readonly loopP50Milliseconds: number
  readonly loopP99Milliseconds: number
  readonly http: HalfLoad
  /** Answers that were no decision, and rows that the log lost. */
  readonly failed: number
}

/** How long each part of one measurement takes. */
export interface Durations {
  readonly warmUp: WarmUp
  /** Of the loop inside the process, and of each window at half load. */
  readonly measureMilliseconds: number
}

/** A prepared tenant: its scenario, database and gateway key. */
export interface Prepared {
  readonly scenario: Scenario
  readonly database: string
  readonly gatewayKey: string
}

/** Starts a fresh server and measures it in a loop and over HTTP; `empty` is a server that does nothing, for comparison. */
export async function measure(
  dataDirectory: string,
  { scenario, database, gatewayKey }: Prepared,
  { log, repeats }: Pick<Variant, 'log' | 'repeats'>,
  { warmUp: warm, measureMilliseconds }: Durations,
  empty: LoadTarget,
): Promise<Sample> {
  const { kind, size } = scenario
  const settings: ServerSettings = { dataDirectory, database, log, kind, size, gatewayKey, repeats }
  const server = await startServerProcess(settings)
  try {
    const target = targetOf(server.port, scenario, gatewayKey, repeats)
    const coldCpuMicroseconds = await warmUp(server, target, warm)
    const loop = await server.loop(measureMilliseconds, 0)
    const http = await measureHalfLoad(server, target, empty, measureMilliseconds)
    return {
      coldCpuMicroseconds,
      loopRate: loop.decisions / loop.seconds,
      loopCpuMicroseconds: loop.cpuMicroseconds / loop.decisions,
      loopP50Milliseconds: loop.p50Milliseconds,
      loopP99Milliseconds: loop.p99Milliseconds,
      http,
      failed: loop.wrong + http.failed,
    }
  } finally {
    await server.end()
  }
}

/** What the load sends to a server; requests that do not repeat never come twice in the life of one target. */
export function targetOf(port: number, { path, body }: Scenario, key: string, repeats: boolean): LoadTarget {
  let sent = FIRST_OVER_HTTP
  return {
    open: openHttpWire({ port, path, key, read: readWarder }),
    body: (number) => {
      sent += 1
      return body(repeats ? number % REPEAT_AFTER : sent)
    },
  }
}

/** The medians of several rounds; failures and windows are added up. */
export function summarise(samples: readonly Sample[]): Sample {
  const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick))
  const sum = (pick: (sample: Sample) => number): number =>
    samples.reduce((total, sample) => total + pick(sample), 0)
  const counted = samples.flatMap(({ http }) => http.kiloInstructions ?? [])
  return {
    coldCpuMicroseconds: middle((sample) => sample.coldCpuMicroseconds),
    loopRate: middle((sample) => sample.loopRate),
    loopCpuMicroseconds: middle((sample) => sample.loopCpuMicroseconds),
    loopP50Milliseconds: middle((sample) => sample.loopP50Milliseconds),
    loopP99Milliseconds: middle((sample) => sample.loopP99Milliseconds),
    http: {
      rate: middle(({ http }) => http.rate),
      cpuMicroseconds: middle(({ http }) => http.cpuMicroseconds),
      kiloInstructions: counted.length === 0 ? undefined : median(counted),
      halfCpuMicroseconds: middle(({ http }) => http.halfCpuMicroseconds),
      busy: middle(({ http }) => http.busy),
      p50Milliseconds: middle(({ http }) => http.p50Milliseconds),
      p99Milliseconds: middle(({ http }) => http.p99Milliseconds),
      emptyP99Milliseconds: middle(({ http }) => http.emptyP99Milliseconds),
      windows: sum(({ http }) => http.windows),
      steady: sum(({ http }) => http.steady),
      rssMebibytes: middle(({ http }) => http.rssMebibytes),
      failed: sum(({ http }) => http.failed),
    },
    failed: sum((sample) => sample.failed),
  }
}
