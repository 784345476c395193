import { hashKey } from '#admin/keys.ts'
import { authzen } from '#gateways/authzen.ts'
import { native } from '#gateways/native.ts'
import { systemClock } from '#lib/clock.ts'
import type { Decider } from '#model/decider.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State } from '#model/state.ts'
import type { LoopResult, ServerSettings } from './protocol.ts'
import { createScenario, REPEAT_AFTER, type Scenario } from './scenario.ts'
import { percentile } from './statistics.ts'
import type { UsageWatch } from './usage.ts'

/** Requests under way at once with `require`, where each waits for the database; elsewhere they come one after another. */
const CONCURRENCY = 32
/** After so many decisions the event loop gets its turn, as between HTTP requests. */
const TURN = 8

/** Asked in earlier loops of this process. */
let asked = 0

/** How long a loop goes on. */
export interface LoopLength {
  readonly milliseconds: number
  readonly decisionsMin: number
  /** The loop is faster than a database; it waits for it here, because an answer without its row is no decision. */
  readonly roomInLog: () => Promise<void>
}

/** Reads bodies and calls `decide` for so long, without HTTP. Latencies are those of `decide` alone. */
export async function decideInLoop(
  decider: Decider,
  state: State,
  usage: UsageWatch,
  settings: ServerSettings,
  { milliseconds, decisionsMin, roomInLog }: LoopLength,
): Promise<LoopResult> {
  const gateway = state.gatewayByKeyHash(hashKey(settings.gatewayKey))
  if (gateway === undefined) throw new Error('the gateway of the bench is not registered')
  const scenario = createScenario(settings.kind, settings.size)
  const read = reader(scenario, gateway)
  const latencies: number[] = []
  let next = 0
  let wrong = 0
  const until = performance.now() + milliseconds
  const work = async (): Promise<void> => {
    for (let i = 0; performance.now() < until || next < decisionsMin; i += 1) {
      const request = read(settings.repeats ? next % REPEAT_AFTER : asked + next)
      next += 1
      const startedAt = performance.now()
      const { reasons } = await decider.decide(request, gateway)
      latencies.push(performance.now() - startedAt)
      if (reasons[0]?.code !== 'policy.permit' && reasons[0]?.code !== 'policy.no_permit') wrong += 1
      if (i % TURN === TURN - 1) {
        await new Promise((resolve) => setImmediate(resolve))
        await roomInLog()
      }
    }
  }
  usage.start(false)
  await Promise.all(Array.from({ length: settings.log === 'require' ? CONCURRENCY : 1 }, work))
  const used = usage.stop()
  asked += next
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    ...used,
    decisions: latencies.length,
    wrong,
    p50Milliseconds: percentile(sorted, 0.5),
    p99Milliseconds: percentile(sorted, 0.99),
  }
}

function reader({ kind, path, body }: Scenario, gateway: Gateway): (number: number) => AuthorizationRequest {
  const dialect = kind === 'one-query' ? authzen : native
  const rawHeaders = ['content-type', 'application/json']
  return (number) => {
    const wire = {
      method: 'POST',
      rawUrl: path,
      rawHeaders,
      body: Buffer.from(body(number)),
      peer: '127.0.0.1',
    }
    const read = dialect.read(wire, gateway, systemClock())
    const [request] = read.ok ? read.value.requests : []
    if (request === undefined) throw new Error('a request of the bench can not be read')
    return request
  }
}
