import { closedLoop, type LoadTarget, openLoop } from './load.ts'
import type { LogSetting, ServerSettings } from './protocol.ts'
import { type Kind, REPEAT_AFTER, type Scenario } from './scenario.ts'
import { countInstructions, startServerProcess } from './server-process.ts'
import { median } from './statistics.ts'
import { type WarmUp, warmUp } from './warm-up.ts'
import { openHttpWire, readWarder } from './wire.ts'

/** Numbers below were asked by the loop inside the process. */
const FIRST_OVER_HTTP = 10_000_000

/** A percentile of latencies needs more requests than a rate, and a window in which rare things happen too. */
const HALF_LOAD_TIMES = 3

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
  readonly httpRate: number
  readonly httpCpuMicroseconds: number
  readonly httpP50Milliseconds: number
  readonly httpP99Milliseconds: number
  readonly kiloInstructions: number | undefined
  readonly rssMebibytes: number
  /** Answers that were no decision, and rows that the log lost. */
  readonly failed: number
}

/** How long each part of one measurement takes. */
export interface Durations {
  readonly warmUp: WarmUp
  readonly measureMilliseconds: number
}

/** A prepared tenant: its scenario, database and gateway key. */
export interface Prepared {
  readonly scenario: Scenario
  readonly database: string
  readonly gatewayKey: string
}

/** Starts a fresh server and measures it: in a loop, at full HTTP load, and at half of the load that it took. */
export async function measure(
  dataDirectory: string,
  { scenario, database, gatewayKey }: Prepared,
  { log, repeats }: Pick<Variant, 'log' | 'repeats'>,
  { warmUp: warm, measureMilliseconds }: Durations,
): Promise<Sample> {
  const { kind, size } = scenario
  const settings: ServerSettings = { dataDirectory, database, log, kind, size, gatewayKey, repeats }
  const server = await startServerProcess(settings)
  try {
    const target = targetOf(server.port, scenario, gatewayKey, repeats)
    const coldCpuMicroseconds = await warmUp(server, target, warm)
    const loop = await server.loop(measureMilliseconds, 0)
    await server.start()
    const [full, instructions] = await Promise.all([
      closedLoop(target, measureMilliseconds),
      countInstructions(server.pid, measureMilliseconds),
    ])
    const used = await server.stop()
    const rate = full.answers / full.seconds
    await server.start()
    const half = await openLoop(target, rate / 2, HALF_LOAD_TIMES * measureMilliseconds)
    const { rowsLost } = await server.stop()
    return {
      coldCpuMicroseconds,
      loopRate: loop.decisions / loop.seconds,
      loopCpuMicroseconds: loop.cpuMicroseconds / loop.decisions,
      loopP50Milliseconds: loop.p50Milliseconds,
      loopP99Milliseconds: loop.p99Milliseconds,
      httpRate: rate,
      httpCpuMicroseconds: used.cpuMicroseconds / full.answers,
      httpP50Milliseconds: half.p50Milliseconds,
      httpP99Milliseconds: half.p99Milliseconds,
      kiloInstructions: instructions === undefined ? undefined : instructions / full.answers / 1000,
      rssMebibytes: used.rssBytes / 2 ** 20,
      failed: loop.wrong + full.failed + half.failed + rowsLost,
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

/** The medians of several rounds; failures are added up. */
export function summarise(samples: readonly Sample[]): Sample {
  const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick))
  const counted = samples
    .map((sample) => sample.kiloInstructions)
    .filter((instructions) => instructions !== undefined)
  return {
    coldCpuMicroseconds: middle((sample) => sample.coldCpuMicroseconds),
    loopRate: middle((sample) => sample.loopRate),
    loopCpuMicroseconds: middle((sample) => sample.loopCpuMicroseconds),
    loopP50Milliseconds: middle((sample) => sample.loopP50Milliseconds),
    loopP99Milliseconds: middle((sample) => sample.loopP99Milliseconds),
    httpRate: middle((sample) => sample.httpRate),
    httpCpuMicroseconds: middle((sample) => sample.httpCpuMicroseconds),
    httpP50Milliseconds: middle((sample) => sample.httpP50Milliseconds),
    httpP99Milliseconds: middle((sample) => sample.httpP99Milliseconds),
    kiloInstructions: counted.length === 0 ? undefined : median(counted),
    rssMebibytes: middle((sample) => sample.rssMebibytes),
    failed: samples.reduce((sum, sample) => sum + sample.failed, 0),
  }
}
