import { closedLoop, type Failures, openLoop } from '../load.ts'
import { median } from '../statistics.ts'
import { askOnce, type Verdict } from '../wire.ts'
import type { Contender } from './contender.ts'
import { cpuOf, memoryOf } from './peer-process.ts'

/** What was measured on one contender; medians of the rounds. */
export interface Result {
  readonly name: string
  /** Decisions, not requests. */
  readonly rate: number
  readonly cpuMicroseconds: number
  /** Rate divided by that of the first contender in the same round. */
  readonly ratio: number
  /** CPU time per decision of the first contender divided by that of this one, in the same round. */
  readonly cpuRatio: number
  /** Of one request, at half of the own rate. */
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  readonly p999Milliseconds: number
  readonly memoryMebibytes: number
  /** Requests of all rounds without a decision. */
  readonly failures: readonly Failures[]
}

/** How long a comparison takes. */
export interface Lengths {
  readonly rounds: number
  readonly burstMilliseconds: number
  readonly halfLoadRounds: number
  readonly halfLoadMilliseconds: number
}

interface Burst {
  readonly rate: number
  readonly cpuMicroseconds: number
  readonly failures: Failures
}

/** Asks every contender the same requests. @throws with the first request on which one answers differently */
export async function expectAgreement(contenders: readonly Contender[], requests: number): Promise<number> {
  const [first, ...others] = contenders
  let allowed = 0
  for (let number = 0; first !== undefined && number < requests; number += 1) {
    const wanted = await decide(first, number)
    if (wanted === 'allow') allowed += 1
    for (const other of others) {
      const found = await decide(other, number)
      if (found !== wanted || (found !== 'allow' && found !== 'deny'))
        throw new Error(
          `${first.name} says ${wanted}, ${other.name} ${found}: ${other.bodies(number).join(' ')}`,
        )
    }
  }
  return allowed
}

/** Loads contenders in turn, A B C A B C, all of them running: whatever else the machine does meets every one. */
export async function sideBySide(
  contenders: readonly Contender[],
  lengths: Lengths,
): Promise<readonly Result[]> {
  for (const contender of contenders) await warmUp(contender, lengths.burstMilliseconds)
  const bursts = contenders.map((): Burst[] => [])
  for (let round = 0; round < lengths.rounds; round += 1) {
    const order = [...contenders.entries()]
    for (const [i, contender] of round % 2 === 0 ? order : order.toReversed())
      bursts[i]?.push(await burst(contender, lengths.burstMilliseconds))
  }
  const rates = bursts.map((own) => median(own.map(({ rate }) => rate)))
  const latencies = contenders.map((): Latency[] => [])
  for (let round = 0; round < lengths.halfLoadRounds; round += 1) {
    for (const [i, contender] of contenders.entries())
      latencies[i]?.push(await halfLoad(contender, rates[i] ?? 0, lengths.halfLoadMilliseconds))
  }
  return contenders.map((contender, i) =>
    summarise(contender, bursts[0] ?? [], bursts[i] ?? [], latencies[i] ?? []),
  )
}

interface Latency {
  readonly failures: Failures
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  readonly p999Milliseconds: number
}

function summarise(
  { name, pid }: Contender,
  first: readonly Burst[],
  own: readonly Burst[],
  latencies: readonly Latency[],
): Result {
  const paired = (divide: (mine: Burst, base: Burst) => number): number =>
    median(own.flatMap((mine, round) => first.slice(round, round + 1).map((base) => divide(mine, base))))
  return {
    name,
    rate: median(own.map(({ rate }) => rate)),
    cpuMicroseconds: median(own.map(({ cpuMicroseconds }) => cpuMicroseconds)),
    ratio: paired((mine, base) => mine.rate / base.rate),
    cpuRatio: paired((mine, base) => base.cpuMicroseconds / mine.cpuMicroseconds),
    p50Milliseconds: median(latencies.map(({ p50Milliseconds }) => p50Milliseconds)),
    p99Milliseconds: median(latencies.map(({ p99Milliseconds }) => p99Milliseconds)),
    p999Milliseconds: median(latencies.map(({ p999Milliseconds }) => p999Milliseconds)),
    memoryMebibytes: memoryOf(pid),
    failures: [...own, ...latencies].map(({ failures }) => failures),
  }
}

async function decide({ target, bodies }: Contender, number: number): Promise<Verdict> {
  const verdicts: Verdict[] = []
  for (const body of bodies(number)) verdicts.push(await askOnce(target.open, body))
  return verdicts.find((verdict) => verdict !== 'allow') ?? 'allow'
}

async function warmUp({ target, warmUpRequests }: Contender, milliseconds: number): Promise<void> {
  for (let answers = 0; answers < warmUpRequests; )
    answers += (await closedLoop(target, milliseconds)).answers
}

async function burst({ pid, calls, target }: Contender, milliseconds: number): Promise<Burst> {
  const before = cpuOf(pid)
  const { answers, failures, seconds } = await closedLoop(target, milliseconds)
  const decisions = answers / calls
  return { rate: decisions / seconds, cpuMicroseconds: (cpuOf(pid) - before) / decisions, failures }
}

function halfLoad({ calls, target }: Contender, rate: number, milliseconds: number): Promise<Latency> {
  return openLoop(target, (rate * calls) / 2, milliseconds)
}
