import { connect } from 'node:net'

/** What an answer says: a decision by policy, a deny because its row could not be logged, or something else. */
export type Verdict = 'allow' | 'deny' | 'unavailable' | 'other'

/** One request at a time to a server. */
export interface Wire {
  /** Sends the body of the next request; only after the last one was answered. */
  send(body: string): void
  close(): void
}

/** Opens a wire. `onBroken` is called once when the server ends it, and never after `close`. */
export type OpenWire = (onAnswer: (verdict: Verdict) => void, onBroken: () => void) => Promise<Wire>

/** Where and how requests are sent over HTTP/1.1. */
export interface HttpTarget {
  readonly port: number
  readonly path: string
  readonly key: string
  /** What an answer says, by its head and body. */
  readonly read: (answer: string) => Verdict
}

/** A keep-alive connection of HTTP/1.1; answers must have a content length. */
export function openHttpWire({ port, path, key, read }: HttpTarget): OpenWire {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: `
  return (onAnswer, onBroken) =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      let received = ''
      socket.setEncoding('latin1')
      socket.on('data', (chunk: string) => {
        received += chunk
        if (!isWhole(received)) return
        const answer = received
        received = ''
        onAnswer(read(answer))
      })
      socket.once('close', onBroken)
      // Before the connection stands; later on, `close` follows.
      socket.on('error', reject)
      socket.once('connect', () =>
        resolve({
          send: (body) => {
            socket.write(`${head}${Buffer.byteLength(body)}\r\n\r\n${body}`)
          },
          close: () => {
            socket.removeListener('close', onBroken).destroy()
          },
        }),
      )
    })
}

/** Asks once, on a wire of its own. */
export async function askOnce(open: OpenWire, body: string): Promise<Verdict> {
  const { promise, resolve } = Promise.withResolvers<Verdict>()
  const wire = await open(resolve, () => resolve('other'))
  wire.send(body)
  const verdict = await promise
  wire.close()
  return verdict
}

/** An allow or a deny of Warder; a deny must come from the policies and from nothing else. */
export function readWarder(answer: string): Verdict {
  if (answer.includes('"log.unavailable"')) return 'unavailable'
  if (!answer.startsWith('HTTP/1.1 200 ')) return 'other'
  if (answer.includes('"decision":true') || answer.includes('"decision":"allow"')) return 'allow'
  if (answer.includes('"decision":false') || answer.includes('"code":"policy.no_permit"')) return 'deny'
  return 'other'
}

function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1])
  return received.length >= end + 4 + length
}
