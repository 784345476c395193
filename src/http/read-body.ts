import type { IncomingMessage } from 'node:http'

const EMPTY = new Uint8Array()

/** A body that was read to its end, or why it was not. */
export type BodyOutcome =
  | { readonly kind: 'read'; readonly body: Uint8Array }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'aborted' }

/**
 * Reads the whole body, whatever the method. Stops at `bodyBytesMax`; an announced length beyond it is not read at all.
 * How long a client may take is the server's `requestTimeout`.
 *
 * @throws never
 */
export function readBody(incoming: IncomingMessage, bodyBytesMax: number): Promise<BodyOutcome> {
  const announced = incoming.headers['content-length']
  if (announced !== undefined && Number(announced) > bodyBytesMax)
    return Promise.resolve({ kind: 'too_large' })
  if (announced === '0' || (announced === undefined && incoming.headers['transfer-encoding'] === undefined))
    return Promise.resolve({ kind: 'read', body: EMPTY })
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > bodyBytesMax) {
        // What still comes is thrown away by the server once the answer is out.
        incoming.removeAllListeners('data')
        resolve({ kind: 'too_large' })
      } else chunks.push(chunk)
    })
    incoming.once('end', () => {
      const [only] = chunks
      resolve({
        kind: 'read',
        body: chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, length),
      })
    })
    incoming.once('error', () => resolve({ kind: 'aborted' }))
    incoming.once('close', () => resolve({ kind: 'aborted' }))
  })
}
