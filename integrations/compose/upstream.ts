import { createServer } from 'node:http'

/** An API to protect: answers every request with what it got. Trusts whoever reaches it, so nobody but Envoy may. */
const PORT = 8000

const server = createServer((incoming, outgoing) => {
  incoming.resume()
  const { method, url, headers } = incoming
  outgoing.writeHead(200, { 'content-type': 'application/json' })
  outgoing.end(`${JSON.stringify({ method, url, decision: headers['x-decision-id'] ?? null })}\n`)
})
server.listen(PORT, '0.0.0.0')
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => server.close())
