import type { Scenario } from '../scenario.ts'
import { startEchoServer, startEmptyServer } from '../server-process.ts'
import { openHttpWire, type Verdict } from '../wire.ts'
import type { Contender } from './contender.ts'

/** What no server in Node can be faster than, asked with the same bodies: a bare `node:http`, and Hono with JSON both ways. */
export async function startFloors({ body }: Scenario): Promise<readonly Contender[]> {
  const servers = [
    { name: 'Hono, JSON echo', server: await startEchoServer() },
    { name: '`node:http`, always the same answer', server: await startEmptyServer() },
  ]
  return servers.map(({ name, server: { port, pid, end } }) => ({
    name,
    pid,
    calls: 1,
    target: { open: openHttpWire({ port, path: '/echo', key: 'none', read: readAnything }), body },
    bodies: (number) => [body(number)],
    warmUpRequests: 3_000,
    end,
  }))
}

function readAnything(answer: string): Verdict {
  return answer.startsWith('HTTP/1.1 200 ') ? 'allow' : 'other'
}
