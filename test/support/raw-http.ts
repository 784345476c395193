import { connect } from 'node:net'

/** An answer as its bytes say. */
export interface RawAnswer {
  readonly status: number
  /** Name in lower case, value; in order. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  readonly bytes: string
}

/**
 * Sends bytes over a new connection and reads until the server closes it or nothing comes for `quietMilliseconds`.
 * No client library stands between: what is given is what arrives.
 *
 * @param ends whether and when the client says that nothing more will come. A server that keeps the connection, or closes
 *   it only some time after its answer, closes it then.
 */
export function exchange(
  port: number,
  bytes: string | Uint8Array,
  quietMilliseconds = 20_000,
  ends: 'never' | 'with the request' | 'with the answer' = 'never',
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    const done = (): void => {
      socket.destroy()
      resolve(Buffer.concat(chunks).toString('latin1'))
    }
    socket.setTimeout(quietMilliseconds, done)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (ends === 'with the answer' && isWhole(Buffer.concat(chunks).toString('latin1'))) socket.end()
    })
    socket.on('close', done)
    socket.on('error', done)
    if (ends === 'with the request') socket.end(bytes)
    else socket.write(bytes)
  })
}

/** One request and its answer; `Connection: close` and `Content-Length` are added unless `headers` has them. */
export async function request(
  port: number,
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[] = [],
  body: string | Uint8Array = '',
): Promise<RawAnswer> {
  const content = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)
  const names = new Set(headers.map(([name]) => name.toLowerCase()))
  const lines = [`${method} ${target} HTTP/1.1`]
  if (!names.has('host')) lines.push('Host: pdp.test')
  if (!names.has('connection')) lines.push('Connection: close')
  if (!names.has('content-length') && !names.has('transfer-encoding') && content.length > 0)
    lines.push(`Content-Length: ${content.length}`)
  for (const [name, value] of headers) lines.push(`${name}: ${value}`)
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return parseAnswer(await exchange(port, Buffer.concat([head, content])))
}

/** Whether these bytes hold an answer to its end, as far as its headers tell where that is. */
function isWhole(received: string): boolean {
  const answer = parseAnswer(received)
  const end = answer.bytes.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = header(answer, 'content-length')
  if (length !== undefined) return answer.bytes.length - end - 4 >= Number(length)
  return header(answer, 'transfer-encoding') === 'chunked' && answer.bytes.endsWith('\r\n0\r\n\r\n')
}

/** The answer that `bytes` spell. */
export function parseAnswer(received: string): RawAnswer {
  // Interim answers (100 Continue) come before the real one.
  const bytes = received.replace(/^(?:HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)+/, '')
  const end = bytes.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = bytes.slice(0, end < 0 ? undefined : end).split('\r\n')
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  const body = end < 0 ? '' : Buffer.from(bytes.slice(end + 4), 'latin1').toString('utf8')
  return { status: Number(statusLine.split(' ')[1] ?? 0), headers, body, bytes }
}

/** The values of one header. */
export function header(answer: RawAnswer, name: string): string | undefined {
  return answer.headers.find(([candidate]) => candidate === name)?.[1]
}
