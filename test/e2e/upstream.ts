import { createServer } from 'node:http'

/** A request as the protected API got it; header names in lower case, duplicates joined. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** The protected API: answers 200 to everything and remembers what it got. */
export interface Upstream {
  readonly port: number
  readonly received: readonly Received[]
  /** The newest request. @throws when there was none */
  last(): Received
  /** How many of the requests came with their whole body. */
  complete(): number
  forget(): void
  close(): Promise<void>
}

/** Starts the API on a free port. */
export async function startUpstream(): Promise<Upstream> {
  const received: Received[] = []
  let complete = 0
  const server = createServer((incoming, outgoing) => {
    const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])
    const { method = '', url = '' } = incoming
    received.push({ method, url, headers: Object.fromEntries(headers) })
    incoming.on('end', () => {
      complete++
    })
    incoming.on('error', () => undefined)
    incoming.resume()
    outgoing.writeHead(200, { 'content-type': 'application/json' })
    outgoing.end('{"from":"api"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return {
    port: address.port,
    received,
    last() {
      const last = received.at(-1)
      if (last === undefined) throw new Error('the API got no request')
      return last
    },
    complete: () => complete,
    forget() {
      received.length = 0
      complete = 0
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
