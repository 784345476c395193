import { type Prepared, targetOf } from '../measure.ts'
import type { LogSetting } from '../protocol.ts'
import { startServerProcess } from '../server-process.ts'
import { type WarmUp, warmUp } from '../warm-up.ts'
import { openHttpWire, readWarder } from '../wire.ts'
import { kept } from './cerbos-policies.ts'
import { type Contender, inTurn } from './contender.ts'

/** Requests after which every hot set of policies is prepared. */
const WARM_UP_REQUESTS = 3_000

/**
 * Starts Warder with this log, as up to two contenders on one server: traffic whose facts never come again, so that
 * the engine is asked each time, and (with `repeatAfter`) traffic that comes again after so many requests.
 */
export async function startWarder(
  dataDirectory: string,
  { scenario, database, gatewayKey }: Prepared,
  log: LogSetting,
  warm: WarmUp,
  repeatAfter?: number,
): Promise<readonly Contender[]> {
  const { kind, size, path, body } = scenario
  const settings = { dataDirectory, database, log, kind, size, gatewayKey, repeats: false } as const
  const server = await startServerProcess(settings)
  const target = targetOf(server.port, scenario, gatewayKey, false)
  await warmUp(server, target, warm)
  const bodies = kept((number) => [body(number)])
  const shared = { pid: server.pid, calls: 1, bodies, end: server.end }
  const distinct: Contender = {
    ...shared,
    name: `Warder, log \`${log}\``,
    target,
    warmUpRequests: WARM_UP_REQUESTS,
  }
  if (repeatAfter === undefined) return [distinct]
  const open = openHttpWire({ port: server.port, path, key: gatewayKey, read: readWarder })
  const again = inTurn((number) => bodies(number % repeatAfter), 1)
  return [
    distinct,
    {
      ...shared,
      name: `Warder, log \`${log}\`, repeating (${repeatAfter.toLocaleString('en-US')} requests)`,
      target: { open, body: again },
      // An answer is kept when its question is asked for the second time.
      warmUpRequests: 2 * repeatAfter,
    },
  ]
}
