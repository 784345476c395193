import { createServer } from 'node:http'
import type { Answer } from './protocol.ts'

// What HTTP in Node and the machine cost by themselves: reads a body and always gives the same answer.

const body = '{"decision":true}'
const server = createServer((incoming, outgoing) => {
  incoming.on('data', () => undefined)
  incoming.once('end', () => {
    outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    outgoing.end(body)
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const ready: Answer = { say: 'ready', port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
  process.send?.(ready)
})
process.on('disconnect', () => process.exit())
